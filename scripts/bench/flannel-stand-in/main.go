// Command flannel-stand-in does, for the bench, the work of the Go CNI plugin "flannel", which Debian has not packaged: it
// completes the configuration of a delegate by what subnet.env says, keeps it in a file for DEL, and executes the delegate
// that it finds in CNI_PATH. It has none of that plugin's options and is for nothing but to be measured.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"
)

type configuration struct {
	types.NetConf
	IPAM          map[string]interface{} `json:"ipam"`
	SubnetFile    string                 `json:"subnetFile"`
	DataDir       string                 `json:"dataDir"`
	Delegate      map[string]interface{} `json:"delegate"`
	RuntimeConfig map[string]interface{} `json:"runtimeConfig"`
}

func parse(stdin []byte) (*configuration, error) {
	conf := &configuration{SubnetFile: "/run/flannel/subnet.env", DataDir: "/var/lib/cni/flannel"}
	if err := json.Unmarshal(stdin, conf); err != nil {
		return nil, fmt.Errorf("network configuration: %w", err)
	}
	return conf, nil
}

// agentSays is what the agent has written into subnet.env.
type agentSays struct {
	network, subnet *net.IPNet
	mtu             int
	masquerades     bool
}

func readSubnetEnv(path string) (*agentSays, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		if at := strings.IndexByte(line, '='); at > 0 {
			values[line[:at]] = line[at+1:]
		}
	}
	says := &agentSays{masquerades: values["FLANNEL_IPMASQ"] == "true"}
	if _, says.network, err = net.ParseCIDR(values["FLANNEL_NETWORK"]); err != nil {
		return nil, err
	}
	if _, says.subnet, err = net.ParseCIDR(values["FLANNEL_SUBNET"]); err != nil {
		return nil, err
	}
	says.mtu, err = strconv.Atoi(values["FLANNEL_MTU"])
	return says, err
}

func (conf *configuration) complete(says *agentSays) map[string]interface{} {
	delegate := map[string]interface{}{
		"type": "bridge", "isGateway": true, "ipMasq": !says.masquerades, "mtu": says.mtu,
	}
	for key, value := range conf.Delegate {
		delegate[key] = value
	}
	delegate["name"] = conf.Name
	delegate["cniVersion"] = conf.CNIVersion
	if conf.RuntimeConfig != nil {
		delegate["runtimeConfig"] = conf.RuntimeConfig
	}
	ipam := map[string]interface{}{"type": "host-local"}
	for key, value := range conf.IPAM {
		ipam[key] = value
	}
	ipam["ranges"] = [][]map[string]string{{{"subnet": says.subnet.String()}}}
	ipam["routes"] = []map[string]string{{"dst": says.network.String()}}
	delegate["ipam"] = ipam
	return delegate
}

func add(args *skel.CmdArgs) error {
	conf, err := parse(args.StdinData)
	if err != nil {
		return err
	}
	says, err := readSubnetEnv(conf.SubnetFile)
	if err != nil {
		return err
	}
	delegate := conf.complete(says)
	text, err := json.Marshal(delegate)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(conf.DataDir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(conf.DataDir, args.ContainerID), text, 0o600); err != nil {
		return err
	}
	result, err := invoke.DelegateAdd(context.Background(), delegate["type"].(string), text, nil)
	if err != nil {
		return err
	}
	return types.PrintResult(result, conf.CNIVersion)
}

func del(args *skel.CmdArgs) error {
	conf, err := parse(args.StdinData)
	if err != nil {
		return err
	}
	path := filepath.Join(conf.DataDir, args.ContainerID)
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	kept := types.NetConf{}
	if err := json.Unmarshal(text, &kept); err != nil {
		return err
	}
	if err := invoke.DelegateDel(context.Background(), kept.Type, text, nil); err != nil {
		return err
	}
	return os.Remove(path)
}

func check(*skel.CmdArgs) error { return nil }

func main() {
	skel.PluginMain(add, check, del, version.All, "stand-in for the CNI plugin flannel")
}
