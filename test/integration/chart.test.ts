// The chart by the newest helm, which scripts/chart/tools.sh brings in seconds. All else of the chart: npm run test:chart.

import { describe } from 'vitest';
import { helmPasses } from '../contract/helm.ts';

describe('the chart by helm 4', () => {
  helmPasses('helm');
});
