package strictjson_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/internal/strictjson"
)

type thing struct {
	Name  string  `json:"name"`
	Count int32   `json:"count"`
	Open  bool    `json:"open"`
	Inner *thing  `json:"inner,omitempty"`
	List  []thing `json:"list,omitempty"`
	Sick  string  `json:"sick"`
}

func TestDecodeReadsWhatItKnowsAndIgnoresTheRest(t *testing.T) {
	var got thing
	err := strictjson.Decode([]byte(` {"name":"a","count":-3,"new":{"x":[null,1.5,{"y":1}]},"open":true,
		"inner":{"name":"b"},"list":[{"name":"c"},{}]} `), &got)
	if err != nil {
		t.Fatal(err)
	}
	want := thing{Name: "a", Count: -3, Open: true, Inner: &thing{Name: "b"}, List: []thing{{Name: "c"}, {}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestDecodeRefusesWhatReadersWouldReadDifferently(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want strictjson.Error
	}{
		"a repeated member":                {`{"name":"a","name":"b"}`, strictjson.Error{Pointer: "/name", Problem: "stands there twice"}},
		"repeated through an escape":       {`{"name":"a","n\u0061me":"b"}`, strictjson.Error{Pointer: "/name", Problem: "stands there twice"}},
		"repeated in an unknown member":    {`{"x":[{"a/b~":1,"a/b~":2}]}`, strictjson.Error{Pointer: "/x/0/a~1b~0", Problem: "stands there twice"}},
		"another case":                     {`{"Name":"a"}`, strictjson.Error{Pointer: "/Name", Problem: `differs from "name" only in case`}},
		"a letter that folds to a known":   {`{"ſick":"a"}`, strictjson.Error{Pointer: "/ſick", Problem: `differs from "sick" only in case`}},
		"a nested wrong type":              {`{"list":[{},{"inner":{"name":7}}]}`, strictjson.Error{Pointer: "/list/1/inner/name", Problem: "must be a string"}},
		"null for a known member":          {`{"name":null}`, strictjson.Error{Pointer: "/name", Problem: "must be a string"}},
		"null for an object":               {`{"inner":null}`, strictjson.Error{Pointer: "/inner", Problem: "must be an object"}},
		"null for a list":                  {`{"list":null}`, strictjson.Error{Pointer: "/list", Problem: "must be a list"}},
		"text for a bool":                  {`{"open":"true"}`, strictjson.Error{Pointer: "/open", Problem: "must be true or false"}},
		"a fraction":                       {`{"count":1.0}`, strictjson.Error{Pointer: "/count", Problem: "must be a whole number of at most 32 bits"}},
		"an exponent":                      {`{"count":1e1}`, strictjson.Error{Pointer: "/count", Problem: "must be a whole number of at most 32 bits"}},
		"a number in quotes":               {`{"count":"1"}`, strictjson.Error{Pointer: "/count", Problem: "must be a whole number of at most 32 bits"}},
		"a number out of range":            {`{"count":2147483648}`, strictjson.Error{Pointer: "/count", Problem: "must be a whole number of at most 32 bits"}},
		"a list at the top":                {`[]`, strictjson.Error{Problem: "must be an object"}},
		"something after the value":        {`{} {}`, strictjson.Error{Problem: "is not JSON"}},
		"nothing":                          {``, strictjson.Error{Problem: "is not JSON"}},
		"a name that is not UTF-8":         {"{\"x\xff\":1}", strictjson.Error{Problem: "is not UTF-8"}},
		"lists within lists without end":   {`{"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, strictjson.Error{Pointer: "/x" + strings.Repeat("/0", 64), Problem: "nests deeper than 64"}},
		"a known member in a list is null": {`{"list":[null]}`, strictjson.Error{Pointer: "/list/0", Problem: "must be an object"}},
	} {
		t.Run(name, func(t *testing.T) {
			var into thing
			var got *strictjson.Error
			if err := strictjson.Decode([]byte(c.text), &into); !errors.As(err, &got) || *got != c.want {
				t.Errorf("got %v, want %v", err, &c.want)
			}
		})
	}
}
