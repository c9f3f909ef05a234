// Writes what the chart has from the program's settings: `npm run chart:generate`.

import { writeFileSync } from 'node:fs';
import { madeFiles } from './settings.ts';

for (const { file, text } of madeFiles()) writeFileSync(file, text);
