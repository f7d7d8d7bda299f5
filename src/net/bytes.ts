// Bytes as people write them: text, with bytes in hexadecimal between bars where no letter stands for them.

/** The UTF-8 bytes of a text. */
export function encodeUtf8(text: string): readonly number[] {
  const out: number[] = [];
  for (const c of text) {
    const n = c.codePointAt(0)!;
    if (n < 0x80) out.push(n);
    else if (n < 0x800) out.push(0xc0 | (n >>> 6), tail(n));
    else if (n < 0x10000) out.push(0xe0 | (n >>> 12), tail(n >>> 6), tail(n));
    else out.push(0xf0 | (n >>> 18), tail(n >>> 12), tail(n >>> 6), tail(n));
  }
  return out;
}

function tail(n: number): number {
  return 0x80 | (n & 0x3f);
}

/** `GET /|0d 0a|`: text, and bytes in hexadecimal between bars; undefined where a bar is left open or what it holds is no bytes. */
export function parseBytes(text: string): readonly number[] | undefined {
  const parts = text.split('|');
  if (parts.length % 2 === 0) return undefined;
  const out: number[] = [];
  for (const [i, part] of parts.entries()) {
    if (i % 2 === 0) {
      out.push(...encodeUtf8(part));
      continue;
    }
    const digits = part.replaceAll(' ', '');
    if (!/^([\da-f]{2})+$/i.test(digits)) return undefined;
    for (let k = 0; k < digits.length; k += 2) out.push(parseInt(digits.slice(k, k + 2), 16));
  }
  return out;
}

/** Reports whether every byte is a printable ASCII character. */
export function isPrintable(bytes: readonly number[]): boolean {
  return bytes.every((b) => b >= 0x20 && b < 0x7f);
}

/** As `parseBytes` reads them. */
export function formatBytes(bytes: readonly number[]): string {
  const plain = (b: number): boolean => isPrintable([b]) && b !== 0x7c;
  let out = '';
  for (const [i, b] of bytes.entries()) {
    const [before, after] = [bytes[i - 1], bytes[i + 1]];
    if (plain(b)) out += String.fromCharCode(b);
    else {
      const opens = before === undefined || plain(before) ? '|' : '';
      const closes = after === undefined || plain(after) ? '|' : '';
      out += `${opens}${b.toString(16).padStart(2, '0')}${closes}`;
    }
  }
  return out;
}
