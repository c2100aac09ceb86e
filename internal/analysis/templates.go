package analysis

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// Template is a query of the platform with places for arguments, $(name).
type Template struct {
	// Name by which guardrails ask for it.
	Name string `json:"name"`
	// Query gives the number, and Samples how much it rests on. Both give one value or none.
	Query   string `json:"query"`
	Samples string `json:"samples"`
	// Args are the names of what guardrails give. Always given: namespace, appID, version, digest
	// and cohort, as quoted strings, and interval, as a duration such as 60s.
	Args []string `json:"args"`
}

// given are the arguments that a template always has. All are quoted but interval,
// which the manager writes itself from a whole number.
var given = []string{"namespace", "appID", "version", "digest", "cohort", intervalArg}

const intervalArg = "interval"

var (
	goodTemplate = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)
	goodArg      = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]*$`)
)

// ReadTemplates reads a file of templates. Its errors name the file and the template.
func ReadTemplates(file string) (map[string]*Template, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list struct {
		Templates []*Template `json:"templates"`
	}
	if err := yaml.UnmarshalStrict(text, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	all := map[string]*Template{}
	for i, t := range list.Templates {
		if t == nil || !goodTemplate.MatchString(t.Name) {
			return nil, fmt.Errorf("%s: templates[%d]: name must be like white-screens", file, i)
		}
		if all[t.Name] != nil {
			return nil, fmt.Errorf("%s: template %s is there twice", file, t.Name)
		}
		if err := t.check(); err != nil {
			return nil, fmt.Errorf("%s: template %s: %w", file, t.Name, err)
		}
		all[t.Name] = t
	}
	return all, nil
}

func (t *Template) check() error {
	for _, arg := range t.Args {
		if !goodArg.MatchString(arg) || slices.Contains(given, arg) {
			return fmt.Errorf("args: %q must begin with a letter, have letters, digits and _ only, and be none of %s", arg, strings.Join(given, ", "))
		}
	}
	for _, text := range []struct{ field, query string }{{"query", t.Query}, {"samples", t.Samples}} {
		if strings.TrimSpace(text.query) == "" {
			return fmt.Errorf("%s is missing", text.field)
		}
		_, err := expand(text.query, func(name string) (string, error) {
			if !slices.Contains(given, name) && !slices.Contains(t.Args, name) {
				return "", fmt.Errorf("$(%s) is neither in args nor one of %s", name, strings.Join(given, ", "))
			}
			return "", nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", text.field, err)
		}
	}
	return nil
}

// fill puts the arguments into one of the template's texts.
func fill(text string, args map[string]string, intervalSeconds int32) (string, error) {
	return expand(text, func(name string) (string, error) {
		if name == intervalArg {
			return strconv.Itoa(int(intervalSeconds)) + "s", nil
		}
		value, ok := args[name]
		if !ok {
			return "", fmt.Errorf("argument %s is missing: add it to prometheus.args", name)
		}
		// PromQL reads double-quoted strings as Go does: nothing in it ends the string.
		return strconv.Quote(value), nil
	})
}

// expand replaces each $(name). It refuses one that stands within a string of the
// template, for what is put there would end that string.
func expand(text string, value func(name string) (string, error)) (string, error) {
	var out strings.Builder
	var quote byte // 0 outside of strings, '#' in a comment
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case strings.HasPrefix(text[i:], "$("):
			name, _, closed := strings.Cut(text[i+2:], ")")
			if !closed || !goodArg.MatchString(name) {
				return "", fmt.Errorf("what begins with $( at byte %d is no place for an argument, such as $(digest)", i)
			}
			if quote != 0 {
				return "", fmt.Errorf("$(%s) stands within a string or a comment: it is quoted already, so write label=$(%s)", name, name)
			}
			v, err := value(name)
			if err != nil {
				return "", err
			}
			out.WriteString(v)
			i += len(name) + 2
			continue
		case quote == 0 && (c == '"' || c == '\'' || c == '`' || c == '#'):
			quote = c
		case quote == '#' && c == '\n', quote != 0 && quote != '#' && c == quote:
			quote = 0
		case (quote == '"' || quote == '\'') && c == '\\' && i+1 < len(text):
			out.WriteByte(c)
			i++
			c = text[i]
		}
		out.WriteByte(c)
	}
	if quote != 0 && quote != '#' {
		return "", fmt.Errorf("a string that begins with %c does not end", quote)
	}
	return out.String(), nil
}

// argsOf are the arguments of a measurement, those that are always given last: no
// guardrail replaces them.
func (t *Template) argsOf(m *v1alpha1.PrometheusMeasure, always map[string]string) (map[string]string, error) {
	args := map[string]string{}
	for _, a := range m.Args {
		if !slices.Contains(t.Args, a.Name) {
			return nil, fmt.Errorf("template %s takes no argument %s: remove it from prometheus.args", t.Name, a.Name)
		}
		args[a.Name] = a.Value
	}
	for name, value := range always {
		args[name] = value
	}
	return args, nil
}
