package delivery

import (
	"slices"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// TakesFiles tells whether the host app's web containers load single files: a page
// that loads them carries no access token.
func (c *HostAppConfig) TakesFiles() bool {
	return slices.Contains(c.Dialects, v1alpha1.DialectFiles) && (c.Access == "" || c.Access == v1alpha1.AccessPublic)
}

// WithFiles adds the address of single files, with the run host at runURL, for a host
// app that loads them. An empty runURL: the platform has none.
func (f *HostFile) WithFiles(c *HostAppConfig, runURL string) *HostFile {
	if runURL != "" && c.TakesFiles() {
		f.Dialects = append(f.Dialects, v1alpha1.DialectFiles)
		f.URLs.Files = strings.TrimSuffix(runURL, "/") + "/r/{appID}/{hex}/{path}"
	}
	return f
}
