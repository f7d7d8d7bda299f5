// The tree as nft's text: what `nft -f` loads, and lists as it was.
import { isQuoted, join, printChange, printData, printElement, printExpression, printStateful, quote } from './printexpr.ts';
import { isFlags } from './statement.ts';
import type {
  ChainSyntax,
  ExprSyntax,
  ObjectSyntax,
  RuleSyntax,
  RulesetSyntax,
  SetSyntax,
  StatementSyntax,
  TableSyntax,
  TypeSyntax,
} from './syntax.ts';
import { printTime } from './value.ts';

/** A whole rule set. A rule that nft could not load is a comment. */
export function printRuleset(r: RulesetSyntax): string {
  return r.tables.map(printTable).join('');
}

function printTable(t: TableSyntax): string {
  const head = [
    ...(t.flags.length > 0 ? [`\tflags ${t.flags.join(',')};\n`] : []),
    ...(t.comment === undefined ? [] : [`\tcomment ${quote(t.comment)}\n`]),
  ];
  const blocks = [...t.objects.map(printObject), ...t.sets.map(printSet), ...t.chains.map(printChain)];
  return `table ${t.family} ${t.name} {\n${head.join('')}${blocks.join('\n')}}\n`;
}

function printObject(o: ObjectSyntax): string {
  // A `;` before the end of a line is one too many for a synproxy.
  const lines = o.body === '' ? [] : o.body.split('; ').map((line) => `\t\t${line}\n`);
  return `\t${o.kind} ${o.name} {\n${lines.join('')}\t}\n`;
}

function printType(t: TypeSyntax): string {
  return t.kind === 'type' ? t.names.join(' . ') : printExpression(t.of);
}

function isInterval(e: ExprSyntax | undefined): boolean {
  return e !== undefined && (e.kind === 'range' || e.kind === 'prefix' || (e.kind === 'concat' && e.of.some(isInterval)));
}

function quoted(t: TypeSyntax | undefined): ReturnType<typeof isQuoted> {
  if (t === undefined) return false;
  return t.kind === 'typeof' ? isQuoted(t.of) : t.names.length === 1 ? QUOTED.has(t.names[0]!) : t.names.map((name) => QUOTED.has(name));
}

/** Types whose values are between quotes; of a map of objects too. */
const QUOTED: ReadonlySet<string> = new Set(
  'ifname iface_index devgroup time day hour ifkind cgroupsv2 counter quota limit synproxy secmark'.split(' '),
);

/** A set or map by itself, on one line and without its elements. */
export function printDeclaration(s: SetSyntax): string {
  return printSet({ ...s, elements: [] })
    .trim()
    .replaceAll(/\n\t*}/g, '; }')
    .replaceAll(/{\n\t*/g, '{ ')
    .replaceAll(/\n\t*/g, '; ');
}

function printSet(s: SetSyntax): string {
  const interval = s.elements.some((e) => isInterval(e.data)) ? 'interval ' : '';
  const data = s.data === undefined ? '' : ` : ${interval}${printType(s.data)}`;
  const lines = [`${s.key.kind} ${printType(s.key)}${data}`];
  if (s.policy !== undefined) lines.push(`policy ${s.policy}`);
  if (s.size !== undefined) lines.push(`size ${s.size}`);
  if (s.flags.length > 0) lines.push(`flags ${s.flags.join(',')}`);
  if (s.then.length > 0) lines.push(s.then.map(printStatement).join(' '));
  if (s.autoMerge === true) lines.push('auto-merge');
  if (s.timeout !== undefined) lines.push(`timeout ${printTime(s.timeout)}`);
  if (s.gcInterval !== undefined) lines.push(`gc-interval ${printTime(s.gcInterval)}`);
  if (s.comment !== undefined) lines.push(`comment ${quote(s.comment)}`);
  if (s.elements.length > 0) {
    const key = quoted(s.key);
    const value = quoted(s.data);
    lines.push(`elements = { ${s.elements.map((e) => printElement(e, key, value)).join(',\n\t\t\t     ')} }`);
  }
  return `\t${s.kind} ${s.name} {\n${lines.map((line) => `\t\t${line}\n`).join('')}\t}\n`;
}

function printChain(c: ChainSyntax): string {
  const lines: string[] = [];
  if (c.comment !== undefined) lines.push(`comment ${quote(c.comment)}`);
  if (c.base !== undefined) {
    const { type, hook, priority, policy, devices = [] } = c.base;
    const on = devices.length === 0 ? '' : devices.length === 1 ? ` device ${quote(devices[0]!)}` : ` devices = { ${devices.join(', ')} }`;
    lines.push(`type ${type} hook ${hook}${on} priority ${priority}; policy ${policy};`);
  }
  for (const rule of c.rules) lines.push(canLoad(rule) ? printRule(rule) : `# ${printRule(rule)}`);
  return `\tchain ${c.name} {\n${lines.map((line) => `\t\t${line}\n`).join('')}\t}\n`;
}

function canLoad(rule: RuleSyntax): boolean {
  return !rule.statements.some((s) => s.kind === 'xt' || s.kind === 'opaque');
}

/** A rule with its comment. What iptables-nft put there without a name is nothing but a blank, as nft has it. */
export function printRule(rule: RuleSyntax): string {
  const text = rule.statements.map(printStatement).join(' ');
  return rule.comment === undefined ? text : `${text} comment ${quote(rule.comment)}`;
}

/** One statement of a rule. */
export function printStatement(s: StatementSyntax): string {
  switch (s.kind) {
    case 'match':
      return printMatch(s);
    case 'counter':
    case 'quota':
    case 'limit':
    case 'connlimit':
    case 'last':
      return printStateful(s);
    case 'log':
    case 'synproxy':
      return join(s.kind, s.words);
    case 'verdict':
      return 'chain' in s ? `${s.verdict} ${s.chain}` : s.verdict;
    case 'queue':
      return join('queue', s.flags.length > 0 ? `flags ${s.flags.join(',')}` : '', s.to && `to ${printExpression(s.to)}`);
    case 'vmap':
      return `${printExpression(s.key)} vmap ${printData(s.data, isQuoted(s.key), false)}`;
    case 'assign':
      return `${printExpression(s.to)} set ${printExpression(s.value, isQuoted(s.to))}`;
    case 'nat':
      return printNat(s);
    case 'reject':
      return s.type === undefined ? 'reject' : join('reject with', s.type, s.code && printExpression(s.code));
    case 'element':
      return `${s.meter === undefined ? `${s.op} @${s.set}` : `meter ${s.set} size ${s.meter}`} { ${printChange(s.element)} }`;
    case 'reset':
      return `reset ${printExpression(s.option)}`;
    case 'notrack':
      return 'notrack';
    case 'tproxy':
      return join('tproxy', s.family, `to ${printTarget(s.addr, s.port, true)}`);
    case 'dup':
    case 'fwd':
      return printCopy(s);
    case 'flow':
      return `flow add @${s.name}`;
    case 'object':
      return printObjectOf(s);
    case 'xt':
      return s.name === undefined ? '' : `xt ${s.type} ${quote(s.name)}`;
    case 'opaque':
      return s.words;
  }
}

function printMatch(s: Extract<StatementSyntax, { kind: 'match' }>): string {
  const { left, right } = s;
  // Only with a / does nft take flags with commas for a mask.
  if (left.kind === 'binary' && left.right.kind === 'list' && (s.op === '==' || s.op === '!=')) {
    return join(printExpression(left.left), s.op === '!=' ? '!=' : '', printExpression(right), '/', printExpression(left.right));
  }
  const isSet = right.kind === 'set' || right.kind === 'reference';
  const bits = left.kind === 'binary';
  const op = (s.op === '==' || s.op === 'in') && !(bits || (s.op === '==' && isFlags(left) && !isSet)) ? '' : s.op === 'in' ? '==' : s.op;
  return join(printExpression(left), op, printRight(left, right));
}

/** Behind `==`, `|` is taken for a part of what is compared only in ( ). */
function printRight(left: ExprSyntax, right: ExprSyntax): string {
  const text = printExpression(right, isQuoted(left));
  return right.kind === 'binary' ? `(${text})` : text;
}

function isIpv6(e: ExprSyntax): boolean {
  return e.kind === 'value' ? typeof e.value === 'string' && e.value.includes(':') : e.kind === 'range' && isIpv6(e.from);
}

/** nat has an address of IPv6 in [ ] before a port, tproxy always. */
function printTarget(addr: ExprSyntax | undefined, port: ExprSyntax | undefined, inBrackets = port !== undefined): string {
  const to = addr === undefined ? '' : inBrackets && isIpv6(addr) ? bracket(addr) : printExpression(addr);
  return port === undefined ? to : `${to}:${printExpression(port)}`;
}

function bracket(addr: ExprSyntax): string {
  return addr.kind === 'range' ? `${bracket(addr.from)}-${bracket(addr.to)}` : `[${printExpression(addr)}]`;
}

const FORMS = { prefix: 'prefix', interval: 'interval', concat: 'addr . port' } as const;

function printNat(s: Extract<StatementSyntax, { kind: 'nat' }>): string {
  const to = s.addr === undefined && s.port === undefined ? '' : `to ${printTarget(s.addr, s.port)}`;
  return join(s.type, s.family, s.form && FORMS[s.form], to, s.flags.join(','));
}

function printCopy(s: Extract<StatementSyntax, { kind: 'dup' | 'fwd' }>): string {
  const device = s.device && printExpression(s.device, true);
  if (s.addr === undefined) return join(s.kind, 'to', device);
  return join(s.kind, s.family, 'to', printExpression(s.addr), device && `device ${device}`);
}

function printObjectOf(s: Extract<StatementSyntax, { kind: 'object' }>): string {
  const name = printExpression(s.name, true);
  return s.of === 'synproxy' ? `synproxy name ${name}` : `${s.of === 'secmark' ? 'meta secmark' : s.of} set ${name}`;
}
