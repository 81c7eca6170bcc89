using System.Buffers.Binary;
using System.Text;

namespace Dbt.Xen.Diagnostics;

/// <summary>
/// Reads the names that a Linux kernel has of itself (scripts/kallsyms.c), for one whose symbol table was stripped off. Nothing in the file
/// says where they are, but they can't be mistaken: 256 tokens, a table of where each begins, and names that are made of tokens.
/// In the file's order: offsets, base, number of names, names, a marker for each 256 of them, perhaps their order by name, tokens, token index.
/// </summary>
internal sealed class KernelNameTable
{
    private const int Tokens = 256, NamesAMarker = 256, Looked = 16;
    private const int LongestToken = 64;
    private const int LeastNames = 1000, MostNames = 1 << 20, MostBytes = 32 << 20;
    private const string Types = "tTwWdDbBrRaAvVnNcCgGiIuU?";

    private readonly byte[] _file;
    private readonly byte[][] _tokens = new byte[Tokens][];

    private KernelNameTable(byte[] file) => _file = file;

    /// <summary>The functions of a kernel, as an unpacked file; empty where it has no such tables.</summary>
    public static List<(uint Address, string Name)> Read(byte[] kernel)
    {
        var table = new KernelNameTable(kernel);
        return table.FindTokens() is int tokens && table.FindNames(tokens) is int names ? table.Functions(names) : [];
    }

    // A digit is always a token of its own, and stands at its own number.
    private int? FindTokens()
    {
        ReadOnlySpan<byte> digits = "0\01\02\03\04\05\06\07\08\09\0"u8;
        ReadOnlySpan<byte> file = _file;
        for (int from = 0; file[from..].IndexOf(digits) is >= 0 and int found; from += found + 1)
        {
            int start = from + found;
            for (int token = 1; token < '0' && start > 0; token++)
            {
                start = file[..(start - 1)].LastIndexOf((byte)0) + 1;
            }

            // The first one has no zero before it for sure, but it is aligned.
            for (int first = start - 2; first >= Math.Max(0, start - LongestToken); first--)
            {
                if (Align(first) == first && TryReadTokens(first))
                {
                    return first;
                }
            }
        }

        return null;
    }

    private bool TryReadTokens(int start)
    {
        int[] begins = new int[Tokens];
        int at = start;
        for (int token = 0; token < Tokens; token++)
        {
            int length = _file.AsSpan(at).IndexOf((byte)0);
            if (length <= 0)
            {
                return false;
            }

            begins[token] = at - start;
            _tokens[token] = _file[at..(at + length)];
            at += length + 1;
        }

        at = Align(at);
        return at + (Tokens * 2) <= _file.Length
            && begins.Index().All(begin => BinaryPrimitives.ReadUInt16LittleEndian(_file.AsSpan(at + (begin.Index * 2))) == begin.Item);
    }

    /// <summary>The number of names that stands before them.</summary>
    private int? FindNames(int tokens)
    {
        for (int at = Align(tokens) - 8; at >= Math.Max(8, tokens - MostBytes); at -= 4)
        {
            uint count = Word(at);
            if (count is >= LeastNames and <= MostNames && at >= 4 + (4 * count) && Walk(at + 4, Looked, tokens, null) is not null && HasMarkers(at + 4, (int)count, tokens))
            {
                return at;
            }
        }

        return null;
    }

    private bool HasMarkers(int names, int count, int end)
    {
        var expected = new List<uint>();
        if (Walk(names, count, end, (number, at) =>
        {
            if (number % NamesAMarker == 0)
            {
                expected.Add((uint)(at - names));
            }
        }) is not int behind)
        {
            return false;
        }

        int markers = Align(behind);
        return markers + (4 * expected.Count) <= end && expected.Index().All(marker => Word(markers + (4 * marker.Index)) == marker.Item);
    }

    /// <summary>Goes through names; each is a length of 7 bits, or 14 (from 6.1 on), and that many tokens, of which the first begins with the symbol's type.</summary>
    /// <returns>The place behind the last; null where these are no names.</returns>
    private int? Walk(int at, int count, int end, Action<int, int>? each)
    {
        for (int number = 0; number < count; number++)
        {
            (int first, int length) = Name(at);
            if (length == 0 || first + length > end || !Types.Contains((char)_tokens[_file[first]][0], StringComparison.Ordinal))
            {
                return null;
            }

            each?.Invoke(number, at);
            at = first + length;
        }

        return at;
    }

    private (int First, int Length) Name(int at)
    {
        int length = _file[at];
        return (length & 0x80) == 0 ? (at + 1, length) : (at + 2, (length & 0x7F) | (_file[at + 1] << 7));
    }

    private List<(uint Address, string Name)> Functions(int numberAt)
    {
        int count = (int)Word(numberAt);
        uint start = Word(numberAt - 4);
        int offsets = numberAt - 4 - (4 * count);
        var functions = new List<(uint, string)>();
        Walk(numberAt + 4, count, _file.Length, (number, at) =>
        {
            (int first, int length) = Name(at);
            var name = new StringBuilder();
            foreach (byte token in _file.AsSpan(first, length))
            {
                name.Append(Encoding.ASCII.GetString(_tokens[token]));
            }

            if (name[0] is 't' or 'T' or 'w' or 'W')
            {
                functions.Add((start + Word(offsets + (4 * number)), name.ToString(1, name.Length - 1)));
            }
        });
        return functions;
    }

    private uint Word(int at) => BinaryPrimitives.ReadUInt32LittleEndian(_file.AsSpan(at));

    private static int Align(int at) => (at + 3) & ~3;
}
