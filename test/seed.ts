// Every run of the property tests tries the same cases; NETWHY_SEED=n tries others.
import fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env['NETWHY_SEED'] ?? 2020) });
