package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
	"github.com/miniprogram-dev/miniprogram-operator/internal/policy"
)

// expectations are the flags that say what a bundle is compared with.
type expectations struct {
	files       []string
	appID       string
	version     string
	versionCode int64
	format      string
	limits      bundle.Limits
}

// facts are what a bundle is compared with.
type facts struct {
	want    bundle.Expect
	limits  bundle.Limits
	program *v1alpha1.MiniProgram        // nil: none was named
	version *v1alpha1.MiniProgramVersion // nil: none was named
	// policies are taken to cover the version: offline nobody knows its namespace's labels.
	policies []v1alpha1.ReviewPolicy
}

func (e *expectations) bind(cmd *cobra.Command) {
	e.limits = bundle.DefaultLimits()
	flags := cmd.Flags()
	flags.StringArrayVarP(&e.files, "filename", "f", nil, "YAML file with the MiniProgram, the MiniProgramVersion, ReviewPolicies; - reads the input; may be repeated")
	flags.StringVar(&e.version, "version", "", "version that is published")
	flags.Int64Var(&e.versionCode, "version-code", 0, "version code that is published")
	flags.StringVar(&e.format, "format", "", "Auto, MiniApp, Dimina or Web; Auto tells by the files at the root")
	flags.Int64Var(&e.limits.ArchiveBytes, "max-bundle-bytes", e.limits.ArchiveBytes, "largest archive, as the manager was told")
	flags.Int64Var(&e.limits.ExpandedBytes, "max-expanded-bytes", e.limits.ExpandedBytes, "largest size of all files together")
	flags.IntVar(&e.limits.Entries, "max-entries", e.limits.Entries, "most files and folders in the archive")
	flags.Int64Var(&e.limits.Ratio, "max-ratio", e.limits.Ratio, "how many times larger than the archive its files may be")
}

// read reads the files; what flags say goes before what files say. stdin is what
// the file "-" names.
func (e *expectations) read(stdin io.Reader) (facts, error) {
	l := e.limits
	if min(l.ArchiveBytes, l.ExpandedBytes, int64(l.Entries), l.Ratio) < 1 || e.versionCode < 0 {
		return facts{}, errors.New("--max-bundle-bytes, --max-expanded-bytes, --max-entries and --max-ratio must be at least 1, and --version-code 0 or more")
	}
	if !slices.Contains([]string{"", string(bundle.FormatAuto), string(bundle.FormatMiniApp), string(bundle.FormatDimina), string(bundle.FormatWeb)}, e.format) {
		return facts{}, fmt.Errorf("--format is %q: write Auto, MiniApp, Dimina or Web", e.format)
	}
	f := facts{limits: e.limits}
	named, err := readObjects(e.files, stdin)
	if err != nil {
		return facts{}, err
	}
	if v := named.version; v != nil {
		f.version = v
		f.want.Version, f.want.VersionCode, f.want.Format = v.Spec.Version, v.Spec.VersionCode, bundle.Format(v.Spec.Format)
	}
	if named.program != nil {
		f.setProgram(named.program)
	}
	if f.policies = named.policies; len(f.policies) > 0 && f.program == nil {
		return facts{}, errors.New("a ReviewPolicy is about what a MiniProgram declares: name the MiniProgram's file with -f too")
	}
	for i := range f.policies {
		if err := policy.CheckSpec(&f.policies[i]); err != nil {
			return facts{}, err
		}
	}
	if e.appID != "" {
		f.want.AppID = e.appID
	}
	if e.version != "" {
		f.want.Version = e.version
	}
	if e.versionCode != 0 {
		f.want.VersionCode = e.versionCode
	}
	if e.format != "" {
		f.want.Format = bundle.Format(e.format)
	}
	return f, nil
}

// setProgram takes app ID and declaration from p.
func (f *facts) setProgram(p *v1alpha1.MiniProgram) {
	f.program = p
	f.want.AppID, f.want.Declared = p.Spec.AppID, &bundle.Declared{}
	for _, permission := range p.Spec.Permissions {
		f.want.Declared.Permissions = append(f.want.Declared.Permissions, permission.Name)
	}
}

func (f *facts) declaration() v1alpha1.Declaration {
	spec := f.program.Spec
	return v1alpha1.Declaration{Permissions: spec.Permissions, Domains: spec.Domains, Privacy: spec.Privacy}
}

// objects are what files hold of our kinds.
type objects struct {
	program  *v1alpha1.MiniProgram
	version  *v1alpha1.MiniProgramVersion
	policies []v1alpha1.ReviewPolicy
}

func readObjects(files []string, stdin io.Reader) (*objects, error) {
	o := &objects{}
	for _, name := range files {
		found, err := o.addFile(name, stdin)
		if err == nil && !found {
			err = errors.New("it holds no MiniProgram, MiniProgramVersion or ReviewPolicy")
		}
		if err != nil {
			return nil, fmt.Errorf("reading -f %s: %w", name, err)
		}
	}
	if o.program != nil && o.version != nil && o.version.Spec.MiniProgramRef.Name != o.program.Name {
		return nil, fmt.Errorf("MiniProgramVersion %s is one of MiniProgram %s (spec.miniProgramRef), but -f names MiniProgram %s: name files that belong together",
			o.version.Name, o.version.Spec.MiniProgramRef.Name, o.program.Name)
	}
	return o, nil
}

// addFile reports whether the file held anything of ours.
func (o *objects) addFile(name string, stdin io.Reader) (bool, error) {
	data, err := readNamed(name, stdin)
	if err != nil {
		return false, err
	}
	found := false
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return false, err
		}
		ours, err := o.add(document)
		if err != nil {
			return false, err
		}
		found = found || ours
	}
}

func readNamed(name string, stdin io.Reader) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(name)
}

// add takes one object; other kinds are no business of ours.
func (o *objects) add(document []byte) (bool, error) {
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(document, &kind); err != nil {
		return false, err
	}
	if kind.APIVersion != v1alpha1.GroupVersion.String() {
		return false, nil
	}
	const twice = "a bundle is compared with one %s, and -f names two, %s and %s: name files with one"
	switch kind.Kind {
	case "MiniProgram":
		before := o.program
		o.program = &v1alpha1.MiniProgram{}
		if err := yaml.UnmarshalStrict(document, o.program); err != nil {
			return false, err
		}
		if before != nil {
			return false, fmt.Errorf(twice, kind.Kind, before.Name, o.program.Name)
		}
	case "MiniProgramVersion":
		before := o.version
		o.version = &v1alpha1.MiniProgramVersion{}
		if err := yaml.UnmarshalStrict(document, o.version); err != nil {
			return false, err
		}
		if before != nil {
			return false, fmt.Errorf(twice, kind.Kind, before.Name, o.version.Name)
		}
	case "ReviewPolicy":
		var p v1alpha1.ReviewPolicy
		if err := yaml.UnmarshalStrict(document, &p); err != nil {
			return false, err
		}
		o.policies = append(o.policies, p)
	default:
		return false, nil
	}
	return true, nil
}
