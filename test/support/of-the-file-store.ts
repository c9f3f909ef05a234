// A vitest setup file for the end-to-end tests on another store than the file store: leaves out the tests that are of that
// store alone, each for a reason that the report shows.

import { beforeEach } from 'vitest';

/** By the name of the test, or of the group that it is in. */
const OF_THE_FILE_STORE: Readonly<Record<string, string>> = {
  'the store is a file tree that go reads by itself': 'a bucket is no tree of files',
  'files that are gone from the store behind a warm memory':
    'takes files out of the folder of the store',
  'what owns what after real pulls': 'reads the folder of the store',
  'purged on the disk': 'looks into the folder of the store',
  'what passes is ten times what may be kept': 'looks into the folder of the store',
  'purged on the disk by tags: bytes freed are bytes gone': 'looks into the folder of the store',
  'a version of which a kill left the zip alone is completed of the same commit, also when its tag was moved':
    'takes files out of the folder of the store',
  'by the API: what is told is what goes, on the disk too': 'looks into the folder of the store',
  'on the command line: by the server, and without one': 'opens the folder of the store',
  'larder purge: by the server, and without one': 'opens the folder of the store',
  'a folder as upstream, before version control; credentials of netrc for a proxy':
    'a bucket is no tree of files',
};

beforeEach(({ task, skip }) => {
  const reason = OF_THE_FILE_STORE[task.name] ?? OF_THE_FILE_STORE[task.suite?.name ?? ''];
  if (reason !== undefined) skip(reason);
});
