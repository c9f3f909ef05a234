// A vitest setup file for the end-to-end tests against an image: leaves out the tests of what a confined container cannot have,
// each for a reason that the report shows.

import { beforeEach } from 'vitest';

/** By the name of the test, or of the group that it is in. */
const OF_A_PROCESS: Readonly<Record<string, string>> = {
  'private names are asked of nobody': 'the slim image has no go command',
  'private names, and what a rule sends to version control, are never redirected, nor asked of anybody':
    'the slim image has no go command',
  '60 clients over three replicas, for all files of a cold version from version control: one go process':
    'counts the runs of a go command of its own',
  'a full disk: bytes pass through, nothing partial stays, and all is well with room again':
    'mounts a file system, which the engine does not see',
};

beforeEach(({ task, skip }) => {
  const reason = OF_A_PROCESS[task.name] ?? OF_A_PROCESS[task.suite?.name ?? ''];
  if (reason !== undefined) skip(reason);
});
