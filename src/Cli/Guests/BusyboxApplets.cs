using System.Text;
using Dbt.Cli.Packages;

namespace Dbt.Cli.Guests;

/// <summary>The names that a busybox binary answers to, read out of it: the host may be unable to run it.</summary>
internal static class BusyboxApplets
{
    /// <summary>Its applets, in order.</summary>
    /// <exception cref="PackageException">The file has none.</exception>
    public static IReadOnlyList<string> Read(ReadOnlySpan<byte> binary)
    {
        // Sorted names, each with a zero behind it, the first two being these.
        int start = binary.IndexOf("\0[\0[[\0"u8) + 1;
        var names = new List<string>();
        ReadOnlySpan<byte> rest = start == 0 ? [] : binary[start..];
        while (!rest.IsEmpty)
        {
            int end = rest.IndexOf((byte)0);
            string name = end <= 0 ? "" : Encoding.Latin1.GetString(rest[..end]);
            if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '[' or '-' or '_' or '.')
                || (names.Count > 0 && string.CompareOrdinal(names[^1], name) >= 0))
            {
                break;
            }

            names.Add(name);
            rest = rest[(end + 1)..];
        }

        return names.Count > 2 ? names : throw new PackageException("busybox's list of applets isn't where it was expected");
    }
}
