// The text of nft cut into words, one at a time and each with its place. Blanks between words are counted: nft prints one between two
// statements, and what it cannot print leaves its blank behind.

export type WordKind = 'end' | 'line' | 'word' | 'string' | 'mark';

const LINE = 10;
const TAB = 9;
const BLANK = 32;
const QUOTE = 34;
const COLON = 58;
const AT = 64;

/** What ends a word: blanks, and these, which are marks of their own. A `.`, `:`, `-` or `/` is of the word it touches. */
const ENDS = new Uint8Array(128);
for (const c of '\t\n {}();,"&|^<>=!#') ENDS[c.charCodeAt(0)] = 1;

/** A cursor over the text. What it stands on is `kind` and `word`; `step` goes on. At the end it stays at the end. */
export class Words {
  readonly text: string;
  kind: WordKind = 'end';
  /** A word, a mark, or what stands between the quotes of a string. */
  word = '';
  start = 0;
  end = 0;
  line = 1;
  /** How many blanks stand before it, on this line and behind any tab. */
  gap = 0;
  /** Why what was begun cannot be read: the first reason. */
  failure: string | undefined;

  constructor(text: string) {
    this.text = text;
    this.step();
  }

  step(): void {
    const { text } = this;
    if (this.kind === 'line') this.line++;
    let i = this.end;
    let gap = 0;
    let c = text.charCodeAt(i);
    while (c === BLANK || c === TAB) {
      gap = c === BLANK ? gap + 1 : 0;
      c = text.charCodeAt(++i);
    }
    this.gap = gap;
    this.start = i;
    if (i >= text.length) {
      this.end = i;
      this.kind = 'end';
      this.word = '';
    } else if (c === LINE) {
      this.end = i + 1;
      this.kind = 'line';
      this.word = '\n';
    } else if (c === QUOTE) {
      this.string(i);
    } else if (c < 128 && ENDS[c] === 1) {
      const two = isPair(c, text.charCodeAt(i + 1));
      this.end = two ? i + 2 : i + 1;
      this.kind = 'mark';
      this.word = text.slice(i, this.end);
    } else {
      // `@set:80` is a set and a port.
      const reference = c === AT;
      do c = text.charCodeAt(++i);
      while (c >= 128 || (ENDS[c] === 0 && !(reference && c === COLON)));
      this.end = i;
      this.kind = 'word';
      this.word = text.slice(this.start, i);
    }
  }

  /** nft knows no escapes; a string that is not closed ends with its line. */
  private string(at: number): void {
    const { text } = this;
    const close = text.indexOf('"', at + 1);
    const line = text.indexOf('\n', at + 1);
    if (close < 0 || (line >= 0 && line < close)) {
      this.end = line < 0 ? text.length : line;
      this.word = text.slice(at + 1, this.end);
      this.fail('a quote that is never closed');
    } else {
      this.end = close + 1;
      this.word = text.slice(at + 1, close);
    }
    this.kind = 'string';
  }

  /** Stands on this word or mark (a string is never one). */
  at(word: string): boolean {
    return this.word === word && this.kind !== 'string';
  }

  /** Steps over this word or mark, if it stands here. */
  take(word: string): boolean {
    if (!this.at(word)) return false;
    this.step();
    return true;
  }

  /** The word here, stepped over; '' where there is none. */
  next(): string {
    if (this.kind !== 'word' && this.kind !== 'string') return '';
    const { word } = this;
    this.step();
    return word;
  }

  /** The word behind this one, on the same line. */
  peek(): string {
    const { kind, word, start, end, line, gap, failure } = this;
    this.step();
    const found = this.kind === 'word' || this.kind === 'mark' ? this.word : '';
    this.kind = kind;
    this.word = word;
    this.start = start;
    this.end = end;
    this.line = line;
    this.gap = gap;
    this.failure = failure;
    return found;
  }

  /** Goes on at this place of the text, which is of line `line`. */
  seek(at: number, line = this.line): void {
    this.kind = 'mark';
    this.end = at;
    this.line = line;
    this.step();
  }

  fail(why: string): void {
    this.failure ??= why;
  }

  /** Whether a line, a block or the text ends here. */
  get isDone(): boolean {
    return this.kind === 'line' || this.kind === 'end' || (this.kind === 'mark' && (this.word === '}' || this.word === ';'));
  }

  get isEnd(): boolean {
    return this.kind === 'end';
  }

  /** Steps over the ends of lines, and `;`. */
  skipLines(): void {
    while (this.kind === 'line' || this.at(';')) this.step();
  }

  /** The end of the line this place is of: its line feed, or the end of the text. */
  endOfLine(from = this.start): number {
    const at = this.text.indexOf('\n', from);
    return at < 0 ? this.text.length : at;
  }
}

function isPair(a: number, b: number): boolean {
  // == != <= >= << >>
  return (b === 61 && (a === 61 || a === 33 || a === 60 || a === 62)) || (a === b && (a === 60 || a === 62));
}
