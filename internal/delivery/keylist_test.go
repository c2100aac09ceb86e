package delivery

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestListsOfKeys(t *testing.T) {
	long := strings.Repeat("键", MaxKeyLength)
	for name, test := range map[string]struct {
		text string
		want []string
		err  string
	}{
		"a key a line":                  {"ada\nben\n", []string{"ada", "ben"}, ""},
		"the last line may lack an end": {"ada\nben", []string{"ada", "ben"}, ""},
		"as on Windows":                 {"ada\r\nben\r\n", []string{"ada", "ben"}, ""},
		"blank lines do not count":      {"\n\nada\n   \n\t\r\nben\n\n", []string{"ada", "ben"}, ""},
		"a key twice is there twice":    {"ada\nada\n", []string{"ada", "ada"}, ""},
		"spaces in a key belong to it":  {"ada of lhasa\n", []string{"ada of lhasa"}, ""},
		"a byte order mark is none":     {"\ufeffada\n", []string{"ada"}, ""},
		"the longest key":               {long, []string{long}, ""},
		"nobody":                        {"", nil, ""},
		"a longer key":                  {"ada\n" + long + "x\n", nil, "line 2 has more than 128 characters: write one key a line, and nothing else"},
		"a space before":                {"ada\n ben\n", nil, "line 2 begins or ends with white space: a key is the whole line"},
		"a space after":                 {"ada \nben\n", nil, "line 1 begins or ends with white space: a key is the whole line"},
		"a table":                       {"ada\tlhasa\n", nil, "line 1 has a control character: write one key a line, and nothing else"},
		"another encoding":              {"ad\xe4\n", nil, "it is no text in UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadKeys(test.text)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if text := errorText(err); text != test.err {
				t.Errorf("got %q, want %q", text, test.err)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
