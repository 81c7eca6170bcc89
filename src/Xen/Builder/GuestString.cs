using System.Globalization;

namespace Dbt.Xen.Builder;

/// <summary>
/// The older way for a kernel to describe itself: a section named __xen_guest with NAME=VALUE pairs, separated by commas
/// (public/elfnote.h names each as LEGACY).
/// </summary>
internal static class GuestString
{
    /// <summary>The section's name.</summary>
    public const string SectionName = "__xen_guest";

    /// <summary>The pairs by name; a name alone has an empty value.</summary>
    public static Dictionary<string, string> Parse(ReadOnlySpan<byte> section)
    {
        int end = section.IndexOf((byte)0);
        string text = System.Text.Encoding.Latin1.GetString(end < 0 ? section : section[..end]);
        var pairs = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string pair in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = pair.IndexOf('=', StringComparison.Ordinal);
            pairs[equals < 0 ? pair : pair[..equals]] = equals < 0 ? "" : pair[(equals + 1)..];
        }

        return pairs;
    }

    /// <summary>A number, hexadecimal with 0x in front, else decimal. Low 32 bits count.</summary>
    public static uint? Number(Dictionary<string, string> pairs, string name)
    {
        if (!pairs.TryGetValue(name, out string? text))
        {
            return null;
        }

        bool hexadecimal = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        ulong value;
        bool valid = hexadecimal
            ? ulong.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value)
            : ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);
        return valid ? (uint)value : throw new KernelFormatException($"the kernel's {SectionName} section has {name}={text}, which is no number");
    }
}
