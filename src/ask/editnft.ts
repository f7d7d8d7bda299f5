// Edits by nft: the commands of a line or of a script, all of them or none.
import { splitWords } from '../iptables-parser/index.ts';
import type { Chain, Rule } from '../model/ruleset.ts';
import { isRefused, type Command, type Refusal, type Tool } from './edit.ts';
import type { TableDraft } from './editdraft.ts';
import { addElements, addSet, deleteElements } from './editelement.ts';
import { ABSENT, readNftRule, readPart, refuseKernel, refuseNft, RulesetDraft } from './editruleset.ts';

/** Carries out nft. */
export const editNft: Tool = (ns, command) => {
  if (!ns.captured.rules4 && !ns.captured.rules6)
    return { refused: `the rules of ${ns.node} were not captured`, hint: 'capture nft -a list ruleset' };
  const script = scriptOf(command);
  if (isRefused(script)) return script;
  const commands = commandsOf(script.text);
  if (commands.length === 0) return refuseNft('there is nothing to do');
  const ruleset = new RulesetDraft(ns, command.at);
  for (const one of commands) {
    const wrong = carryOut(ruleset, one);
    if (wrong) return wrong;
  }
  return ruleset.commit();
};

/** What nft gets to read: the words of the command, or with -f its input. */
function scriptOf({ text }: Command): { readonly text: string } | Refusal {
  const [line = '', ...input] = text.split('\n');
  const words = splitWords(line).words;
  let i = words.findIndex((w) => /(?:^|\/)nft$/.test(w.text)) + 1;
  for (; i < words.length && words[i]!.text.startsWith('-') && !words[i]!.quoted; i++) {
    const option = words[i]!.text;
    if (/^(?:-\w*f|--file)$/.test(option)) {
      if (!/^(?:-|\/dev\/stdin)$/.test(words[i + 1]?.text ?? ''))
        return refuseNft('a file is not read', 'write `nft -f -` and the commands on the lines behind it');
      return { text: input.join('\n') };
    }
    if (/^(?:-c|--check)$/.test(option)) return refuseNft(`${option} only tests`);
  }
  const rest = words.slice(i);
  // nft joins its words with blanks; a shell has taken quotes and \ away by then
  const typed = rest.map((w) => {
    const raw = line.slice(w.start, w.end);
    return w.quoted && (rest.length === 1 || raw.startsWith("'") || /[{};]/.test(w.text)) ? w.text : raw.replace(/\\(.)/g, '$1');
  });
  return { text: typed.join(' ') };
}

/** A script cut into its commands: at the end of a line and at `;`, except within braces. */
function commandsOf(text: string): string[] {
  const out: string[] = [];
  let depth = 0;
  let now = '';
  for (const [piece] of text.replace(/\\\n/g, ' ').matchAll(/"[^"\n]*"|#[^\n]*|\s*\n\s*|[ \t\r]+|[{};]|[^\s{};"#]+|./g)) {
    if (piece.startsWith('#')) continue;
    if (piece === '{') depth++;
    if (piece === '}') depth--;
    if (depth === 0 && (piece === ';' || piece.includes('\n'))) {
      out.push(now);
      now = '';
    } else if (piece.includes('\n')) now += /[{;,(]\s*$/.test(now) ? ' ' : '; ';
    else now += piece.trim() === '' ? ' ' : piece;
  }
  out.push(now);
  return out.map((c) => c.replace(/"[^"]*"|\s+/g, (m) => (m.startsWith('"') ? m : ' ')).trim()).filter((c) => c !== '');
}

const COMMAND = /^(?:(add|create|insert|replace|delete|destroy|flush|rename|list|reset|monitor|describe|get)\b ?)?(\w+)\b ?(.*)$/s;
const TABLE = /^(?:(ip6?|inet|arp|bridge|netdev) )?("[^"]*"|[^\s{]+) ?(.*)$/s;
const NAME = /^("[^"]*"|[^\s{]+) ?(.*)$/s;

/** What a command is about. */
interface Order {
  readonly verb: string;
  readonly label: string;
  readonly rest: string;
}

function carryOut(ruleset: RulesetDraft, command: string): Refusal | undefined {
  const [, verb = 'add', object = '', tail = ''] = COMMAND.exec(command) ?? [];
  if (/^(?:list|monitor|describe|get|reset)$/.test(verb))
    return refuseNft(`'${command}' changes nothing`, 'a what-if takes commands that change something');
  if (/^(?:define|redefine|undefine|include)$/.test(object)) return refuseNft(`'${object}' is not read in an edit`, 'write the value itself');
  if (object === 'ruleset' && verb === 'flush') return flushRuleset(ruleset, tail);
  const [, family = 'ip', name = '', rest = ''] = TABLE.exec(tail) ?? [];
  if (name === '') return refuseNft(`syntax error in '${command}'`, 'write for example `nft add rule inet filter input tcp dport 80 accept`');
  if (family === 'arp' || family === 'bridge')
    return refuseNft(`tables of ${family} are not followed`, 'netwhy follows packets of IP: tables of ip, ip6, inet and netdev');
  const order: Order = { verb, label: `${family} ${name.replaceAll('"', '')}`, rest };
  if (object === 'table') return ofTable(ruleset, order);
  const table = ruleset.table(order.label);
  if (!table) return verb === 'destroy' ? undefined : refuseKernel(ABSENT, `there is no table ${order.label}`);
  switch (object) {
    case 'rule':
      return ofRule(ruleset, table, order);
    case 'chain':
      return ofChain(ruleset, table, order);
    case 'set':
    case 'map':
      return ofSet(table, order, object);
    case 'element':
      return ofElement(table, order);
    default:
      return refuseNft(`'${verb} ${object}' cannot be carried out`, 'tables, chains, rules, sets, maps and elements can be changed');
  }
}

function flushRuleset(ruleset: RulesetDraft, family: string): undefined {
  for (const label of ruleset.labels()) if (family === '' || label.startsWith(`${family} `)) ruleset.remove(label);
  return undefined;
}

function ofTable(ruleset: RulesetDraft, { verb, label, rest }: Order): Refusal | undefined {
  const found = ruleset.table(label);
  if (verb === 'add' || verb === 'create') {
    if (verb === 'create' && found) return refuseKernel('File exists');
    const table = ruleset.add(label);
    return rest.startsWith('{') ? addBlock(ruleset, table, label, rest.slice(1, -1).trim()) : undefined;
  }
  if (!found) return verb === 'destroy' ? undefined : refuseKernel(ABSENT, `there is no table ${label}`);
  if (verb === 'delete' || verb === 'destroy') ruleset.remove(label);
  else if (verb === 'flush') for (const chain of found.names()) found.splice(chain, 0, found.rules(chain).length, []);
  else return refuseNft(`syntax error, unexpected table`);
  return undefined;
}

/** What stands in the braces of a table: it is added to what is there. */
function addBlock(ruleset: RulesetDraft, table: TableDraft, label: string, body: string): Refusal | undefined {
  const part = readPart(label, body, table, ruleset.at);
  if (isRefused(part)) return part;
  for (const set of part.sets) {
    const wrong = addSet(table, set, 'add');
    if (wrong) return wrong;
  }
  for (const chain of part.chains) {
    const wrong = addChain(ruleset, table, label, chain);
    if (wrong) return wrong;
  }
  return undefined;
}

function ofChain(ruleset: RulesetDraft, table: TableDraft, { verb, label, rest }: Order): Refusal | undefined {
  const [, quoted = '', tail = ''] = NAME.exec(rest) ?? [];
  const name = quoted.replaceAll('"', '');
  const found = table.chain(name);
  if (verb === 'add' || verb === 'create') {
    if (verb === 'create' && found) return refuseKernel('File exists');
    const policy = /^\{ ?policy (accept|drop) ?;? ?\}$/.exec(tail)?.[1];
    if (policy !== undefined) {
      if (!found?.base) return refuseKernel('Operation not supported');
      table.setPolicy(found, policy === 'drop' ? 'drop' : 'accept');
      return undefined;
    }
    const part = readPart(label, `chain ${name} ${tail === '' ? '{\n}' : tail}`, table, ruleset.at);
    if (isRefused(part)) return part;
    return part.chains[0] ? addChain(ruleset, table, label, part.chains[0], / policy /.test(tail)) : refuseNft(`'${rest}' is no chain`);
  }
  if (!found) return verb === 'destroy' ? undefined : refuseKernel(ABSENT, `there is no chain ${name} in the table ${label}`);
  switch (verb) {
    case 'flush':
      table.splice(name, 0, table.rules(name).length, []);
      return undefined;
    case 'rename':
      if (table.chain(tail)) return refuseKernel('File exists');
      table.rename(name, tail);
      return undefined;
    case 'delete':
    case 'destroy':
      // its own rules go with it: nf_tables_delchain()
      table.splice(name, 0, table.rules(name).length, []);
      if (table.isCalled(name)) return refuseKernel('Device or resource busy', 'a rule or a map leads to it');
      table.remove(name);
      return undefined;
    default:
      return refuseNft('syntax error, unexpected chain');
  }
}

/** nf_tables_addchain() and nf_tables_updchain() */
function addChain(ruleset: RulesetDraft, table: TableDraft, label: string, chain: Chain, saysPolicy = true): Refusal | undefined {
  const found = table.chain(chain.name);
  const { base } = chain;
  if (base?.type === 'nat' && (base.hook === 'FORWARD' || base.hook === 'INGRESS' || base.hook === 'EGRESS'))
    return refuseKernel('Operation not supported');
  if (!found) table.put({ ...chain, rules: [] });
  else if (base) {
    if (found.base?.hook !== base.hook || (found.base.priority ?? base.priority) !== base.priority || (found.base.type ?? base.type) !== base.type)
      return refuseKernel('Operation not supported', `the chain ${chain.name} is there, and hangs elsewhere`);
    if (saysPolicy) table.setPolicy(found, base.policy);
  }
  ruleset.put(label, chain.name, table.rules(chain.name).length, 0, chain.rules);
  return undefined;
}

function ofRule(ruleset: RulesetDraft, table: TableDraft, { verb, label, rest }: Order): Refusal | undefined {
  const [, quoted = '', tail = ''] = NAME.exec(rest) ?? [];
  const chain = quoted.replaceAll('"', '');
  if (!table.chain(chain)) return refuseKernel(ABSENT, `there is no chain ${chain} in the table ${label}`);
  const [, by, number = '', spec = ''] = /^(handle|position|index) (\d+)\b ?(.*)$/s.exec(tail) ?? [undefined, undefined, '', tail];
  const rules = table.rules(chain);
  if (verb === 'delete' || verb === 'destroy' || verb === 'replace') {
    if (by !== 'handle' && by !== 'position')
      return refuseNft(`syntax error, unexpected ${tail.split(' ')[0] || 'newline'}, expecting handle`, 'nft -a list ruleset shows the handles');
  }
  const place = by === undefined ? (verb === 'insert' ? 0 : rules.length - 1) : by === 'index' ? Number(number) : withHandle(rules, Number(number));
  if (typeof place !== 'number') return place;
  if (by !== undefined && !rules[place]) return refuseKernel(ABSENT, `the chain ${chain} has no rule at ${by} ${number}`);
  if (verb === 'delete' || verb === 'destroy') {
    table.splice(chain, place, 1, []);
    return undefined;
  }
  if (verb !== 'add' && verb !== 'create' && verb !== 'insert' && verb !== 'replace') return refuseNft(`syntax error, unexpected rule`);
  const rule = readNftRule(label, spec, table, ruleset.at);
  if (isRefused(rule)) return rule;
  if (table.calls(rule).some((c) => !table.chain(c))) return refuseKernel(ABSENT, 'it leads to a chain that is not there');
  ruleset.put(label, chain, verb === 'add' || verb === 'create' ? place + 1 : place, verb === 'replace' ? 1 : 0, [rule]);
  return undefined;
}

function withHandle(rules: readonly Rule[], handle: number): number | Refusal {
  const place = rules.findIndex((r) => r.handle === handle);
  if (place >= 0) return place;
  return rules.some((r) => r.handle === undefined)
    ? refuseKernel(ABSENT, 'not all handles are known: capture nft -a list ruleset, and write no handle of a rule that an edit made')
    : refuseKernel(ABSENT, `no rule has the handle ${handle}`);
}

function ofSet(table: TableDraft, { verb, label, rest }: Order, kind: 'set' | 'map'): Refusal | undefined {
  const [, quoted = '', tail = ''] = NAME.exec(rest) ?? [];
  const name = quoted.replaceAll('"', '');
  if (verb === 'add' || verb === 'create') {
    const part = readPart(label, `${kind} ${name} ${tail}`, undefined, table.at);
    if (isRefused(part)) return part;
    const [set] = part.sets;
    return set && / type(?:of)? /.test(tail) ? addSet(table, set, verb) : refuseNft('set definition does not specify key');
  }
  const found = table.sets()[name];
  if (!found || !(found.declared ?? kind).startsWith(kind))
    return verb === 'destroy' ? undefined : refuseKernel(ABSENT, `there is no ${kind} ${name} in the table ${label}`);
  if (verb === 'flush') table.putSet({ ...found, elements: [] });
  else if (verb === 'delete' || verb === 'destroy') {
    const isUsed = table.names().some((c) => table.rules(c).some((r) => r.text.match(/@[\w/.-]+/g)?.includes(`@${name}`)));
    if (isUsed) return refuseKernel('Device or resource busy', `a rule asks ${name}`);
    table.removeSet(name);
  } else return refuseNft(`syntax error, unexpected ${kind}`);
  return undefined;
}

function ofElement(table: TableDraft, { verb, label, rest }: Order): Refusal | undefined {
  const [, quoted = '', tail = ''] = NAME.exec(rest) ?? [];
  const found = table.sets()[quoted.replaceAll('"', '')];
  if (!found) return refuseKernel(ABSENT, `there is no set or map ${quoted} in the table ${label}`);
  if (!tail.startsWith('{')) return refuseNft('syntax error', 'elements stand in braces: { 10.0.0.1 }');
  const part = readPart(label, `${(found.declared ?? '').replace(/\}$/, '')} elements = ${tail} }`, undefined, table.at);
  if (isRefused(part)) return part;
  const elements = part.sets[0]?.elements ?? [];
  if (verb === 'add' || verb === 'create') return addElements(table, found, elements, verb);
  return verb === 'delete' || verb === 'destroy' ? deleteElements(table, found, elements, verb) : refuseNft('syntax error, unexpected element');
}
