import { LocalLock } from '../../src/coordination/local-lock.ts';
import { lockContract } from '../contract/lock.ts';

lockContract('within the process', () => {
  const lock = new LocalLock();
  return Promise.resolve([lock, lock]);
});
