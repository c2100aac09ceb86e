// Command release builds all that a release consists of, from the tree as it is,
// into one folder: binaries in archives, a krew manifest of the kubectl plugin, the
// manifests of an installation, the Helm chart, the container image as an OCI layout for
// two architectures, what each binary is made of (CycloneDX), and the sums of all that.
//
// Nothing in it depends on the time or the machine, so that whoever has the commit,
// the same Go release and git can build it again and compare the sums.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"

	"github.com/opencontainers/go-digest"
)

// release is what is built, and from what.
type release struct {
	root, out string
	// version is the tag: v and a semantic version.
	version string
	// image is the repository of the container image, and baseURL where the files
	// of a release are downloaded from; both without the version.
	image, baseURL string
	// kubectl renders manifests, helm packages the chart, sbom is cyclonedx-gomod,
	// roots a PEM file with certificate authorities.
	kubectl, helm, sbom, roots string
	// revision is the commit, and moment its time: all times in a release are this one.
	revision string
	moment   moment
	// digest is the image's, once it is written.
	digest digest.Digest
	// servers and plugins are the platforms that binaries are built for.
	servers, plugins []platform
	// changes lets a tree with changes be built, to try it.
	changes bool
}

// versionForm is what a version looks like: it becomes part of file names, of an
// image's tag (which knows no +) and of URLs.
var versionForm = regexp.MustCompile(`^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)

func main() {
	r := release{servers: serverPlatforms, plugins: pluginPlatforms}
	flag.StringVar(&r.version, "version", "", "`tag` of the release, such as v0.1.0")
	flag.StringVar(&r.out, "o", "dist", "`folder` that is built, and emptied before")
	flag.StringVar(&r.image, "image", "ghcr.io/miniprogram-dev/miniprogram-operator", "`repository` that the image will be in")
	flag.StringVar(&r.baseURL, "url", "https://github.com/miniprogram-dev/miniprogram-operator/releases/download", "`URL` below which <version>/<file> will be")
	flag.StringVar(&r.kubectl, "kubectl", "bin/controlplane/kubectl", "`file`: kubectl, which renders manifests")
	flag.StringVar(&r.helm, "helm", "bin/helm", "`file`: helm, which packages the chart")
	flag.StringVar(&r.sbom, "cyclonedx-gomod", "bin/cyclonedx-gomod", "`file`: cyclonedx-gomod")
	flag.StringVar(&r.roots, "ca-roots", "bin/ca-roots.pem", "PEM `file` with the certificate authorities of the image")
	flag.BoolVar(&r.changes, "with-changes", false, "build although there are changes that are not committed, to try it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := r.build(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func (r *release) build(ctx context.Context) error {
	if !versionForm.MatchString(r.version) {
		return fmt.Errorf("-version: %q is no version of a release: tag the commit (git tag v0.1.0), or give one such as v0.1.0", r.version)
	}
	if err := r.look(ctx); err != nil {
		return err
	}
	if err := r.empty(); err != nil {
		return err
	}
	for _, s := range r.steps() {
		if err := s.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Printf("release %s: %s\n", r.version, s.name)
	}
	return nil
}

type step struct {
	name string
	run  func(context.Context) error
}

// steps are in the order in which they need each other.
func (r *release) steps() []step {
	return []step{
		{"binaries", r.buildBinaries},
		{"archives", r.writeArchives},
		{"krew manifest", r.writeKrew},
		{"image", r.writeImage},
		{"manifests", r.writeManifests},
		{"chart", r.writeChart},
		{"bills of materials", r.writeBills},
		{"sums", r.writeSums},
	}
}

// look finds the repository's root, from the working folder if none is given, the
// commit and its time.
func (r *release) look(ctx context.Context) error {
	top, err := output(ctx, r.root, "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	r.root = top
	changed, err := output(ctx, r.root, "git", "status", "--porcelain")
	if err != nil {
		return err
	}
	if changed != "" && !r.changes {
		return fmt.Errorf("a release is built from a commit, and these are not committed:\n%s", changed)
	}
	if r.revision, err = output(ctx, r.root, "git", "rev-parse", "HEAD"); err != nil {
		return err
	}
	committed, err := output(ctx, r.root, "git", "show", "-s", "--format=%ct", "HEAD")
	if err != nil {
		return err
	}
	r.moment, err = parseMoment(committed)
	return err
}

// empty removes what an earlier release left in the folder. A folder with anything
// else is left alone: whoever mistypes -o loses nothing.
func (r *release) empty() error {
	entries, err := os.ReadDir(r.out)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		if _, err := os.Stat(r.work("")); err != nil {
			return fmt.Errorf("%s is not empty and no release was built there: remove it, or name another folder", r.out)
		}
		for _, entry := range entries {
			if err := os.RemoveAll(filepath.Join(r.out, entry.Name())); err != nil {
				return err
			}
		}
	}
	return os.MkdirAll(r.work(""), 0o755)
}

// work is the folder of what is needed on the way and not part of the release.
func (r *release) work(name string) string { return filepath.Join(r.out, ".work", name) }

func (r *release) file(name string) string { return filepath.Join(r.out, name) }
