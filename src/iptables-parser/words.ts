// One line into words, as iptables-restore splits it, each with its place in the line.

/** A word and where it stands: columns from 0, quotes included, `end` exclusive. */
export interface Token {
  readonly text: string;
  readonly start: number;
  readonly end: number;
  /** A quoted word is never an option, whatever it says. */
  readonly quoted: boolean;
}

export interface Tokens {
  readonly words: readonly Token[];
  /** The column of a quote that is never closed; what follows it is the last word. */
  readonly open?: number;
}

const DOUBLE = 34;
const SINGLE = 39;
const BACKSLASH = 92;

// add_param_to_argv(), iptables/xshared.c: a double quote opens or closes a word, a backslash inside it takes the next
// character as it is. Single quotes mean nothing to iptables-restore; people paste them from a shell, so a word that
// begins with one and ends with one is taken as the shell would.
/** Splits a line into words; never fails. */
export function splitWords(line: string, from = 0): Tokens {
  const words: Token[] = [];
  let i = from;
  while (i < line.length) {
    const c = line.charCodeAt(i);
    if (isBlank(c)) {
      i++;
      continue;
    }
    if (c === DOUBLE) {
      const [text, end, closed] = quoted(line, i + 1);
      words.push({ text, start: i, end, quoted: true });
      if (!closed) return { words, open: i };
      i = end;
      continue;
    }
    if (c === SINGLE) {
      const close = line.indexOf("'", i + 1);
      if (close > 0 && (close + 1 === line.length || isBlank(line.charCodeAt(close + 1)))) {
        words.push({ text: line.slice(i + 1, close), start: i, end: close + 1, quoted: true });
        i = close + 1;
        continue;
      }
    }
    const start = i;
    while (i < line.length && !isBlank(line.charCodeAt(i)) && line.charCodeAt(i) !== DOUBLE) i++;
    // `--comment="a b"`: an unquoted head and a quoted tail are one word.
    if (i < line.length && line.charCodeAt(i) === DOUBLE) {
      const [tail, end, closed] = quoted(line, i + 1);
      words.push({ text: line.slice(start, i) + tail, start, end, quoted: false });
      if (!closed) return { words, open: i };
      i = end;
      continue;
    }
    words.push({ text: line.slice(start, i), start, end: i, quoted: false });
  }
  return { words };
}

function isBlank(c: number): boolean {
  return c === 32 || c === 9 || c === 13 || c === 10;
}

/** Text after an opening quote, the column behind the closing one, and whether there was one. */
function quoted(line: string, from: number): readonly [text: string, end: number, closed: boolean] {
  let text = '';
  let plain = from;
  let i = from;
  for (; i < line.length; i++) {
    const c = line.charCodeAt(i);
    if (c === BACKSLASH && i + 1 < line.length) {
      text += line.slice(plain, i);
      plain = i + 1;
      i++;
    } else if (c === DOUBLE) {
      return [text + line.slice(plain, i), i + 1, true];
    }
  }
  return [text + line.slice(plain), i, false];
}

// xtables_save_string(), libxtables/xtables.c
/** A word as iptables-save prints a string: bare when it is only letters, digits, `_` and `-`, else in double quotes. */
export function quote(text: string): string {
  return /^[\w-]+$/.test(text) ? text : `"${text.replace(/["\\']/g, '\\$&')}"`;
}

/** A word so that reading the line again gives it back: quoted only where it must be. */
export function protect(text: string): string {
  return text === '' || /[\s"\\']/.test(text) ? quote(text) : text;
}
