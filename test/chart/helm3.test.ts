import { describe } from 'vitest';
import { helmPasses } from '../contract/helm.ts';

describe('the chart by helm 3', () => {
  helmPasses('helm3');
});
