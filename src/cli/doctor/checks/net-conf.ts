import { ConfigError } from '#base/errors.ts';
import { error, ok, warning, type Check } from '../finding.ts';

export const netConf: Check = {
  id: 'net-conf',
  title: 'the network configuration can be used',
  run(facts) {
    try {
      const { config, warnings } = facts.parsedConfig();
      if (warnings.length === 0) {
        const networks = Object.values(config.networks).join(' and ');
        return [ok(`${config.source}: ${networks}, backend ${config.backend.type}`)];
      }
      return warnings.map((what) =>
        warning({
          what,
          why: 'the agent goes on without it, or with what it takes it for',
          cure: `mend it: kubectl -n kube-flannel edit configmap kube-flannel-cfg (here: ${config.source})`,
        }),
      );
    } catch (failure) {
      if (!(failure instanceof ConfigError)) throw failure;
      return [
        error({
          what: failure.message,
          why: 'the agent does not start with it',
          cure: failure.cure ?? 'mend it: kubectl -n kube-flannel edit configmap kube-flannel-cfg',
        }),
      ];
    }
  },
};
