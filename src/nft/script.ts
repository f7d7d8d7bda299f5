// A file for `nft -f`, as /etc/nftables.conf is one: a listing with definitions, and commands before it. It says what somebody wanted loaded.
import type { Report } from '../iptables-parser/report.ts';

/** `define NAME = VALUE`, a list over several lines too. */
const DEFINE = /^[ \t]*(?:re)?define[ \t]+(\w+)[ \t]*=[ \t]*(\{[^}]*\}|[^\n;#]*)/gm;

/** Reports whether a text has what no listing has. */
function isScript(text: string): boolean {
  return /^[ \t]*(?:#!.*\bnft\b|(?:re)?define\s|include\s|flush ruleset|(?:delete|destroy|flush) table)/m.test(text.slice(0, 65536));
}

/** The text with its definitions put in where they are used, each line where it was; commands that only clear the way are blank. */
export function expandScript(text: string, file: string, report: Report): string {
  if (!isScript(text)) return text;
  report.tell({
    severity: 'note',
    code: 'nft-script',
    message: 'this is a file for nft -f, not what nft lists: what the node really has may differ',
    at: { file, line: 1 },
    hint: 'capture `nft list ruleset`',
  });
  const values = new Map<string, string>();
  const blank = (s: string): string => s.replace(/[^\n]/g, ' ');
  // a list within a list is one list
  const use = (s: string): string =>
    s.replace(/([{,]\s*)?\$(\w+)/g, (whole, before: string | undefined, name: string) => {
      const value = values.get(name);
      return value === undefined ? whole : before === undefined ? value : `${before}${value.replace(/^\{\s*|\s*\}$/g, '')}`;
    });
  const bare = text.replace(DEFINE, (whole, name: string, value: string) => {
    values.set(
      name,
      use(
        value
          .trim()
          .replace(/#[^\n]*/g, '')
          .replace(/\s+/g, ' ')
          .replace(/ $/, ''),
      ),
    );
    return blank(whole);
  });
  return use(bare).replace(/^[ \t]*(?:flush ruleset|(?:delete|destroy|flush) table .*)$/gm, blank);
}

/** What nft itself writes behind a `#`. */
const OWN_REMARK = /^# (?:handle \d|xt_|count \d|progname|Warning|new table)/;

/** The text without people's remarks; quoted words keep theirs, and so do lines that are nothing else (nft warns in such). */
export function withoutRemarks(text: string): string {
  if (!text.includes('#')) return text;
  return text.replace(/^.*#.*$/gm, (line) => {
    let quoted = false;
    for (let i = 0; i < line.length; i++) {
      if (line[i] === '"') quoted = !quoted;
      else if (line[i] === '#' && !quoted && !OWN_REMARK.test(line.slice(i))) return line.slice(0, i).trimEnd();
    }
    return line;
  });
}
