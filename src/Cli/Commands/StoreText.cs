using System.Globalization;
using System.Text;

namespace Dbt.Cli.Commands;

/// <summary>A node's bytes as text and back, as Xen's own commands have them: what isn't printable ASCII is escaped as in C.</summary>
internal static class StoreText
{
    private const int FirstHexadecimal = 8;

    /// <summary>The text of a value.</summary>
    public static string Escape(ReadOnlySpan<byte> value)
    {
        var text = new StringBuilder(value.Length);
        foreach (byte b in value)
        {
            _ = b switch
            {
                (byte)'\\' => text.Append(@"\\"),
                >= (byte)' ' and <= (byte)'~' => text.Append((char)b),
                (byte)'\t' => text.Append(@"\t"),
                (byte)'\n' => text.Append(@"\n"),
                (byte)'\r' => text.Append(@"\r"),
                < FirstHexadecimal => text.Append(CultureInfo.InvariantCulture, $@"\{b:000}"),
                _ => text.Append(CultureInfo.InvariantCulture, $@"\x{b:x2}"),
            };
        }

        return text.ToString();
    }

    /// <summary>The value of a text, which may have \t, \n, \r, \\, \xHH and \OOO in it; UTF-8 otherwise.</summary>
    public static byte[] Unescape(string text)
    {
        byte[] given = Encoding.UTF8.GetBytes(text);
        var value = new List<byte>(given.Length);
        for (int i = 0; i < given.Length; i++)
        {
            if (given[i] != (byte)'\\' || i + 1 == given.Length)
            {
                value.Add(given[i]);
                continue;
            }

            byte kind = given[++i];
            switch (kind)
            {
                case (byte)'t':
                    value.Add((byte)'\t');
                    break;
                case (byte)'n':
                    value.Add((byte)'\n');
                    break;
                case (byte)'r':
                    value.Add((byte)'\r');
                    break;
                case (byte)'x':
                    value.Add(Number(given, i + 1, 16, 2, out int length));
                    i += length;
                    break;
                case >= (byte)'0' and <= (byte)'7':
                    value.Add(Number(given, i, 8, 3, out length));
                    i += length - 1;
                    break;
                default:
                    value.Add(kind);
                    break;
            }
        }

        return [.. value];
    }

    private static byte Number(ReadOnlySpan<byte> text, int at, int radix, int longest, out int length)
    {
        int number = 0;
        for (length = 0; length < longest && at + length < text.Length; length++)
        {
            char c = (char)text[at + length];
            int digit = char.IsAsciiHexDigit(c) ? Convert.ToInt32(c.ToString(), 16) : radix;
            if (digit >= radix)
            {
                break;
            }

            number = (number * radix) + digit;
        }

        return (byte)number;
    }
}
