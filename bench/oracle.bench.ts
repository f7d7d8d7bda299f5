// How many random packets a second are compared with the kernel, and how much of that time the kernel and its tools take?
import { kernelMissing } from '../test/oracle/kernel.ts';
import { figures, playCases } from '../test/probes/oracle.ts';

const missing = kernelMissing();
if (missing === undefined) console.log(figures(await playCases({ cases: 200, seed: 1 })));
else console.log(`skipped, the kernel cannot be asked: ${missing}`);
