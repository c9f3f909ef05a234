// The CNCF's distribution; Debian's registry is in test/e2e. LARDER_TEST_CLIENTS: the folder that scripts/install-clients.sh filled.

import { join, resolve } from 'node:path';
import { deployContract } from '../contract/deploy.ts';

const folder = resolve(process.env['LARDER_TEST_CLIENTS'] ?? '.cache/clients');

deployContract(join(folder, 'bin', 'registry'));
