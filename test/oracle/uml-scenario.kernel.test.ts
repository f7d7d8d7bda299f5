// The scenarios whose networks take a guest kernel (IPIP), there and in the engine.
import { describeAgreement, scenariosOf } from './agreement.ts';
import { describeGuest } from './guest.ts';

for (const name of scenariosOf('guest')) describeAgreement(describeGuest, name);
