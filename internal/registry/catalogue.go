package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
)

// maxRepositories bounds what a registry lists.
const maxRepositories = 100_000

// errTooMany ends the reading of a catalogue.
var errTooMany = errors.New("too many repositories")

// Repositories lists the repositories below the prefix, without it, sorted. Many
// registries list none: the OCI distribution specification has no catalogue, and what is
// asked is that of the first registries.
func (c *Client) Repositories(ctx context.Context) ([]string, error) {
	o, err := c.begin(ctx, "catalogue", "the list of repositories", c.options.Timeout)
	if err != nil {
		return nil, err
	}
	defer o.end()
	r := &remote.Registry{RepositoryOptions: remote.RepositoryOptions{
		Client: c.auth, PlainHTTP: c.options.PlainHTTP, MaxMetadataBytes: maxMetadataBytes,
		Reference: registry.Reference{Registry: c.options.Host},
	}}
	prefix := c.RepositoryName("") + "/"
	if prefix == "/" {
		prefix = ""
	}
	var out []string
	err = r.Repositories(o.ctx, "", func(page []string) error {
		for _, name := range page {
			if below, is := strings.CutPrefix(name, prefix); is {
				out = append(out, below)
			}
		}
		if len(out) > maxRepositories {
			return errTooMany
		}
		return nil
	})
	if errors.Is(err, errTooMany) {
		return nil, fmt.Errorf("the registry %s lists more than %d repositories below %s", c.options.Host, maxRepositories, c.options.Prefix)
	}
	if err != nil {
		return nil, o.explain(err)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
