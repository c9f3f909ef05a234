// Debian's registry. Another one's part is in test/clients.

import { deployContract } from '../contract/deploy.ts';
import { debianRegistry } from '../support/real-registry.ts';

deployContract(debianRegistry);
