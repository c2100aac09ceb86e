// Package detect finds the use of sensitive APIs in scripts.
package detect
