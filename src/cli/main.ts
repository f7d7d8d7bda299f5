// The command line. Everything a person can type is declared here; the verbs live in commands/.
import { Command, CommanderError, Option } from 'commander';
import type { DiffOptions } from './commands/diff.ts';
import type { LintOptions } from './commands/lint.ts';
import type { TraceOptions } from './commands/trace.ts';
import type { WhatifOptions } from './commands/whatif.ts';
import type { ReachOptions } from './commands/reach.ts';
import type { CheckOptions } from './commands/check.ts';
import type { WhyCommandOptions } from './commands/why.ts';
import { NeedsLargerHeap, runAgainWith } from './memory.ts';
import { EXIT, UsageError } from './terminal.ts';

const program = new Command('netwhy');
let code: number = EXIT.yes;

program
  .description('What happens to this packet, and exactly why? Answered from what Linux nodes print about themselves.')
  .version('0.1.0')
  .exitOverride()
  .showHelpAfterError('(netwhy --help lists the verbs and their options)')
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'netwhy: ')) })
  .configureHelp({ showGlobalOptions: true })
  .addHelpText(
    'before',
    `Examples:
  netwhy trace scenarios/ippool-overlaps-host --from worker1/pod-a --to 192.168.21.11:6443
  netwhy trace iptables-save.txt --from 10.244.1.5 --to 10.96.0.10:53 --proto udp
  netwhy whatif scenarios/docker-forward-drop -e 'node# iptables -P FORWARD ACCEPT'
  netwhy diff before.tar after.tar --from local --to 10.96.0.1:443
`,
  );

const colour = (): Option => new Option('--color <when>', 'colour the output').choices(['auto', 'always', 'never']).default('auto');
const CAPTURE = 'scenario folder, folder of captures, tar(.gz) of either, a single dump file, or - for standard input';

const FROM = 'an address, a namespace (worker1/pod-a), a node, local, or pod/NAMESPACE/NAME';
const TO = 'destination; [ADDR]:PORT for IPv6; a node or namespace stands for its address; svc/NAMESPACE/NAME:PORT, pod/NAMESPACE/NAME:PORT';
const LIMIT = 'how many courses to follow where the captures leave choices (default 256)';
const WITHOUT = '; without --from and --to, all questions of the scenario';

/** What a question may say of its packet. */
function packetOptions(command: Command): Command {
  return command
    .option('--proto <proto>', 'tcp, udp, sctp, icmp or a number (default: tcp with a port, else an ICMP echo request)')
    .option('--sport <port>', 'source port (default 40000)')
    .option('--in <node:iface>', 'where a packet from outside comes in')
    .option('--mark <n>', 'fwmark of the packet where it begins')
    .option('--flags <flags>', 'TCP flags (default SYN)')
    .option('--payload <bytes>', "what follows the layer-4 header: text, bytes in hexadecimal between bars ('GET /|0d0a|')")
    .option('--at <time>', 'when it is there: 2026-11-21T14:30 (UTC)')
    .option('--ct-state <state>', 'what the first conntrack lookup finds: NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED')
    .option('--icmp-type <type>', 'name, TYPE or TYPE/CODE (default echo-request)')
    .option('--about <packet>', "the packet an ICMP error quotes: 'tcp 10.0.0.1:40000 > 8.8.8.8:80'")
    .option('--ttl <n>', 'time to live (default 64)')
    .option('--length <bytes>', 'layer-3 length (default 60, IPv6 80)')
    .option('--tos <n>', 'type of service, 0 to 255')
    .option('--uid <n>', 'user id of the sending socket')
    .option('--gid <n>', 'group id of the sending socket')
    .option('--mac <addr>', 'source link-layer address');
}

packetOptions(program.command('trace').argument('<capture>', CAPTURE).requiredOption('--from <who>', FROM).requiredOption('--to <addr[:port]>', TO))
  .description('walk one packet there and its reply back, and say why')
  .option('--all', 'tell every rule that was looked at, also those that did not match')
  .option('--limit <n>', LIMIT)
  .addOption(
    new Option('-o, --output <form>', 'text: every decision; wide: every matching rule; summary: a line a hop; minimal: the fate')
      .choices(['text', 'wide', 'summary', 'minimal', 'json'])
      .default('text'),
  )
  .option('-j, --json', 'the same as -o json')
  .addOption(colour())
  .action(async (capture: string, options: TraceOptions) => {
    const { runTrace } = await import('./commands/trace.ts');
    code = await runTrace(capture, options);
  });

packetOptions(program.command('why').argument('<capture>', CAPTURE).requiredOption('--from <who>', FROM).requiredOption('--to <addr[:port]>', TO))
  .description("the cause of a packet's fate, and commands that would change it, each proved by simulation")
  .requiredOption(
    '--expect <what>',
    'delivered, reply-delivered, dropped, masqueraded, not-masqueraded, "dnat-to ADDR[:PORT]", "via NODE[/NAMESPACE]"',
    'reply-delivered',
  )
  .option('--budget <n>', 'how many simulations at most (default 300)')
  .addOption(new Option('-o, --output <form>', 'output form').choices(['text', 'json']).default('text'))
  .option('-j, --json', 'the same as -o json')
  .addOption(colour())
  .action(async (capture: string, options: WhyCommandOptions) => {
    const { runWhy } = await import('./commands/why.ts');
    code = await runWhy(capture, options);
  });

const compared = (): Option =>
  new Option('-o, --output <form>', 'text: where the walks part, side by side; minimal: a line a question')
    .choices(['text', 'minimal', 'json'])
    .default('text');
packetOptions(program.command('whatif').argument('<capture>', CAPTURE).option('--from <who>', FROM).option('--to <addr[:port]>', TO))
  .description(`how a packet fares before and after commands on the nodes, and where its walks part${WITHOUT}`)
  .option(
    '-e, --edit <command>',
    "'NODE[/NAMESPACE]# COMMAND': iptables, ip6tables, iptables-restore, nft, ipset, ipvsadm, ip, bridge, sysctl, conntrack; repeatable, done in order",
    (text: string, before: readonly string[] | undefined) => [...(before ?? []), text],
  )
  .option(
    '--edits <file>',
    "a file of edits, one a line; indented lines are what the command above reads from its input. Without -e and --edits: the scenario's",
  )
  .option('--limit <n>', LIMIT)
  .addOption(compared())
  .option('-j, --json', 'the same as -o json')
  .addOption(colour())
  .action(async (capture: string, options: WhatifOptions) => {
    const { runWhatif } = await import('./commands/whatif.ts');
    code = await runWhatif(capture, options);
  });

packetOptions(
  program.command('diff').argument('<a>', CAPTURE).argument('<b>', 'another one').option('--from <who>', FROM).option('--to <addr[:port]>', TO),
)
  .description(
    `which packets fare otherwise in another capture, by which lines of both, and what else the captures have different${WITHOUT}s of both`,
  )
  .option('--space <yaml>', "all packets of a space, as a property's `for:` has it, instead of questions")
  .option('--classes <n>', 'most classes of packets of --space (default 100000)')
  .option('--limit <n>', LIMIT)
  .addOption(compared())
  .option('-j, --json', 'the same as -o json')
  .addOption(colour())
  .action(async (a: string, b: string, options: DiffOptions) => {
    const { runDiff } = await import('./commands/diff.ts');
    code = await runDiff(a, b, options);
  });

program
  .command('check')
  .description("the claims of a scenario: its questions' expectations, and its properties, which are about all packets of a space")
  .argument('<scenario>', 'a folder with a scenario.yaml')
  .option('--only <text>', 'claims whose name has this in it')
  .option('--exact', 'prove properties, and do not try random packets where that is too much')
  .option('--random', 'try random packets only')
  .option('--classes <n>', 'most classes of packets that a proof may take (default 100000)')
  .option('--runs <n>', 'random packets of a property (default 1000)')
  .option('--seed <n>', 'where the random numbers begin (default 1)')
  .addOption(new Option('-o, --output <form>', 'text: a line a claim, and why one fails').choices(['text', 'json', 'junit', 'tap']).default('text'))
  .option('-j, --json', 'the same as -o json')
  .addOption(colour())
  .action(async (scenario: string, options: CheckOptions) => {
    const { runCheck } = await import('./commands/check.ts');
    code = await runCheck(scenario, options);
  });

program
  .command('reach')
  .description('what becomes of all packets of a space: where they arrive, which line drops them, whether they are masqueraded')
  .argument('<capture>', CAPTURE)
  .option('--from <who>', 'who sends them: a namespace, a node, an address; or blocks of addresses, with --in')
  .option('--to <blocks>', "ADDR, ADDR/LENGTH, ADDR-ADDR, with commas; or 'any'")
  .option('--except <blocks>', 'of --to, what is left out')
  .option('--in <node:iface>', 'where packets from outside come in')
  .option('--proto <protos>', 'with commas (default tcp,udp)')
  .option('--sport <ports>', 'PORT or PORT-PORT, with commas')
  .option('--dport <ports>', 'PORT or PORT-PORT, with commas')
  .option('--space <yaml>', "the same as a property's `for:`, instead")
  .option('--matrix', 'every captured namespace against every service')
  .option('--classes <n>', 'most classes of packets (default 100000)')
  .addOption(new Option('-o, --output <form>', 'output form').choices(['text', 'json']).default('text'))
  .option('-j, --json', 'the same as -o json')
  .addOption(colour())
  .action(async (capture: string, options: ReachOptions) => {
    const { runReach } = await import('./commands/reach.ts');
    code = await runReach(capture, options);
  });

program
  .command('show')
  .description('what was read: files, rules, sets, routes; what was not captured; what is not modelled, and where')
  .argument('<capture>', CAPTURE)
  .addOption(new Option('-o, --output <form>', 'output form').choices(['text', 'json']).default('text'))
  .option('-j, --json', 'the same as -o json')
  .addOption(colour())
  .action(async (capture: string, options: { output: 'text' | 'json'; json?: boolean; color: 'auto' | 'always' | 'never' }) => {
    const { runShow } = await import('./commands/show.ts');
    code = await runShow(capture, options);
  });

program
  .command('lint')
  .description(
    'what cannot work whatever packet comes: rules behind others, conditions that exclude each other, chains nobody gets to, idle sets, overlaps',
  )
  .argument('<capture>', CAPTURE)
  .option('--all', 'tell every note, also those that are many of a kind')
  .addOption(new Option('-o, --output <form>', 'output form').choices(['text', 'json']).default('text'))
  .option('-j, --json', 'the same as -o json')
  .addOption(colour())
  .action(async (capture: string, options: LintOptions) => {
    const { runLint } = await import('./commands/lint.ts');
    code = await runLint(capture, options);
  });

program
  .command('capture')
  .description('print the POSIX sh script that collects a bundle on a node: netwhy capture | ssh NODE sudo sh > NODE.tar')
  .action(async () => {
    const [{ captureScript }, { print }] = await Promise.all([import('./commands/capture.ts'), import('./terminal.ts')]);
    await print(captureScript());
  });

program
  .command('matches')
  .description('every match and target of iptables, every statement and expression of nft: evaluated, forks the walk, or opaque')
  .addOption(new Option('-o, --output <form>', 'output form').choices(['text', 'markdown', 'json']).default('text'))
  .action(async (options: { output: 'text' | 'markdown' | 'json' }) => {
    const { runMatches } = await import('./commands/matches.ts');
    code = await runMatches(options);
  });

program
  .command('explain')
  .description('what a named pattern is: what happens, how to see it on the nodes, what to do; without a code, all of them')
  .argument('[code]', 'the code of a pattern: forward-policy-drop')
  .action(async (pattern: string | undefined) => {
    const { runExplain } = await import('./commands/explain.ts');
    code = await runExplain(pattern);
  });

program
  .command('schema')
  .description('JSON Schema of a file format or of the JSON output')
  .addArgument(program.createArgument('<kind>', 'which').choices(['scenario', 'trace', 'whatif', 'diff', 'why', 'check', 'reach', 'lint']))
  .action(async (kind: 'scenario' | 'trace' | 'whatif' | 'diff' | 'why' | 'check' | 'reach' | 'lint') => {
    const { runSchema } = await import('./commands/schema.ts');
    code = await runSchema(kind);
  });

async function main(): Promise<number> {
  try {
    await program.parseAsync();
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.yes : EXIT.usage;
    if (error instanceof NeedsLargerHeap) return runAgainWith(error);
    if (error instanceof UsageError) {
      process.stderr.write(`netwhy: ${error.message}\n`);
      return EXIT.usage;
    }
    if (error instanceof Error && 'code' in error && error.code === 'EPIPE') return code;
    const report = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`netwhy: this is a bug in netwhy, not in your capture. Please report it with the command and this text:\n${report}\n`);
    return EXIT.bug;
  }
}

process.exitCode = await main();
