using System.Buffers.Binary;

namespace Dbt.Xen.Builder;

/// <summary>
/// LZO1X in lzop's file format, which Linux's build can wrap a kernel in (Linux, Documentation/staging/lzo.rst). No library for .NET has it.
/// </summary>
internal static class LzoDecompressor
{
    private const int MagicBytes = 9, MostBlockBytes = 64 << 20;
    private const ushort VersionWithMoreFields = 0x0940;
    private const uint HasFilter = 0x800;

    // Two checksums of the plain block and two of the compressed one may follow a block's lengths.
    private const uint PlainAdler = 1, CompressedAdler = 2, PlainCrc = 0x100, CompressedCrc = 0x200;

    /// <summary>Decompresses a whole file; checksums are not looked at, the ELF file's own structure is.</summary>
    /// <returns>Null where the data is damaged.</returns>
    /// <exception cref="KernelFormatException">More than <paramref name="limit"/> bytes.</exception>
    public static byte[]? TryExpand(ReadOnlySpan<byte> file, int limit)
    {
        if (!TrySkipHeader(ref file, out uint flags))
        {
            return null;
        }

        using var result = new MemoryStream();
        while (TryRead32(ref file, out uint plainLength) && plainLength != 0)
        {
            if (!TryRead32(ref file, out uint length) || length > plainLength || plainLength > MostBlockBytes)
            {
                return null;
            }

            bool compressed = length < plainLength;
            int checksums = 4 * (Bit(flags, PlainAdler) + Bit(flags, PlainCrc) + (compressed ? Bit(flags, CompressedAdler) + Bit(flags, CompressedCrc) : 0));
            if ((ulong)file.Length < (ulong)checksums + length)
            {
                return null;
            }

            if (result.Length + plainLength > limit)
            {
                throw BoundedReader.TooLarge(limit);
            }

            byte[] plain = new byte[plainLength];
            ReadOnlySpan<byte> data = file.Slice(checksums, (int)length);
            if (!compressed)
            {
                data.CopyTo(plain);
            }
            else if (!TryExpandBlock(data, plain))
            {
                return null;
            }

            result.Write(plain);
            file = file[(checksums + (int)length)..];
        }

        return result.Length > 0 ? result.ToArray() : null;
    }

    /// <summary>One block of LZO1X; it must fill <paramref name="plain"/> exactly.</summary>
    internal static bool TryExpandBlock(ReadOnlySpan<byte> data, Span<byte> plain)
    {
        const int afterLongRun = 4;
        int at = 0, done = 0, state = 0;
        if (data.Length > 0 && data[0] > 17)
        {
            int first = data[at++] - 17;
            if (!Literals(data, plain, ref at, ref done, first))
            {
                return false;
            }

            state = Math.Min(first, afterLongRun);
        }

        while (at < data.Length)
        {
            int code = data[at++], length, distance, following;
            if (code < 16 && state == 0)
            {
                if (!Length(data, ref at, code, 15, 3, out length) || !Literals(data, plain, ref at, ref done, length))
                {
                    return false;
                }

                state = afterLongRun;
                continue;
            }

            if (code is >= 16 and < 64)
            {
                bool near = code >= 32;
                if (!Length(data, ref at, near ? code & 31 : code & 7, near ? 31 : 7, 2, out length) || data.Length - at < 2)
                {
                    return false;
                }

                int pair = data[at] | (data[at + 1] << 8);
                at += 2;
                following = pair & 3;
                distance = near ? (pair >> 2) + 1 : 16384 + ((code & 8) << 11) + (pair >> 2);
                if (!near && distance == 16384)
                {
                    return done == plain.Length;
                }
            }
            else
            {
                if (at >= data.Length)
                {
                    return false;
                }

                int high = data[at++];
                following = code & 3;
                (length, distance) = code switch
                {
                    >= 128 => (5 + ((code >> 5) & 3), (high << 3) + ((code >> 2) & 7) + 1),
                    >= 64 => (3 + ((code >> 5) & 1), (high << 3) + ((code >> 2) & 7) + 1),
                    _ when state == afterLongRun => (3, (high << 2) + (code >> 2) + 2049),
                    _ => (2, (high << 2) + (code >> 2) + 1),
                };
            }

            if (distance > done || length > plain.Length - done)
            {
                return false;
            }

            for (int i = 0; i < length; i++, done++)
            {
                plain[done] = plain[done - distance]; // byte by byte: the source may overlap what is being written
            }

            if (!Literals(data, plain, ref at, ref done, following))
            {
                return false;
            }

            state = following;
        }

        return false;
    }

    /// <summary>A length in the low bits of a code, or, where those are 0, in the bytes that follow: 255 for each zero byte, and one more.</summary>
    private static bool Length(ReadOnlySpan<byte> data, ref int at, int bits, int whenZero, int offset, out int length)
    {
        length = bits + offset;
        if (bits != 0)
        {
            return true;
        }

        length += whenZero;
        for (; at < data.Length; at++)
        {
            if (data[at] != 0)
            {
                length += data[at++];
                return true;
            }

            length += 255;
            if (length > MostBlockBytes)
            {
                return false;
            }
        }

        return false;
    }

    private static bool Literals(ReadOnlySpan<byte> data, Span<byte> plain, ref int at, ref int done, int count)
    {
        if (count > data.Length - at || count > plain.Length - done)
        {
            return false;
        }

        data.Slice(at, count).CopyTo(plain[done..]);
        at += count;
        done += count;
        return true;
    }

    private static bool TrySkipHeader(ref ReadOnlySpan<byte> file, out uint flags)
    {
        const int versions = 4, modeAndTime = 8, checksum = 4;
        flags = 0;
        if (file.Length < MagicBytes + versions)
        {
            return false;
        }

        bool more = BinaryPrimitives.ReadUInt16BigEndian(file[MagicBytes..]) >= VersionWithMoreFields;
        int at = MagicBytes + versions + (more ? 4 : 1); // version needed, method, level; or method alone
        if (file.Length < at + 4)
        {
            return false;
        }

        flags = BinaryPrimitives.ReadUInt32BigEndian(file[at..]);
        at += 4 + ((flags & HasFilter) != 0 ? 4 : 0) + modeAndTime + (more ? 4 : 0);
        if (file.Length <= at)
        {
            return false;
        }

        at += 1 + file[at] + checksum;
        if (file.Length < at)
        {
            return false;
        }

        file = file[at..];
        return true;
    }

    private static bool TryRead32(ref ReadOnlySpan<byte> data, out uint value)
    {
        value = 0;
        if (data.Length < 4)
        {
            return false;
        }

        value = BinaryPrimitives.ReadUInt32BigEndian(data);
        data = data[4..];
        return true;
    }

    private static int Bit(uint flags, uint bit) => (flags & bit) != 0 ? 1 : 0;
}
