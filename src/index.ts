// The front door: everything a library user may import.
export { readBundle, type Bundle, type BundleOptions } from './capture/bundle.ts';
export type { CaptureFile, FileReport } from './capture/namespace.ts';
export { readScenarioWorld, type Locate, type WorldReading } from './capture/world.ts';
export { ask, isMisunderstood, requestOf, type Asked, type Misunderstood, type Request } from './ask/question.ts';
export { nameOfAddress } from './ask/name.ts';
export { trace } from './ask/trace.ts';
export { answerJson } from './say/json.ts';
export { COLOURED, PLAIN, type Palette } from './say/palette.ts';
export { answerText, type Level, type TextOptions } from './say/text.ts';
export { TraceAnswer } from './model/answer.ts';
export { Scenario } from './model/scenario.ts';
export type { Finding, Severity, Span } from './model/finding.ts';
export type { Namespace, World } from './model/host.ts';
export type { Witness } from './model/witness.ts';
export type { Packet } from './model/packet.ts';
export type { Chain, IpSet, Pred, Rule, Statement, Table, Truth } from './model/ruleset.ts';
export type { Answer, Course, Hop, NearMiss, Outcome, OutcomeKind, Question, Reason, Step, Trace, Verdict } from './model/trace.ts';
