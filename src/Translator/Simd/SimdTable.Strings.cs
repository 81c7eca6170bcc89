using System.Runtime.Intrinsics;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Simd;

// PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (SDM vol. 2, 4.1).
internal static unsafe partial class SimdTable
{
    private static void AddStrings()
    {
        Add(Mnemonic.Pcmpestri, (in SimdOperands o) => Compare(in o, explicitLengths: true, mask: false));
        Add(Mnemonic.Pcmpestrm, (in SimdOperands o) => Compare(in o, explicitLengths: true, mask: true));
        Add(Mnemonic.Pcmpistri, (in SimdOperands o) => Compare(in o, explicitLengths: false, mask: false));
        Add(Mnemonic.Pcmpistrm, (in SimdOperands o) => Compare(in o, explicitLengths: false, mask: true));
    }

    private static void Compare(in SimdOperands o, bool explicitLengths, bool mask)
    {
        bool words = (o.Immediate & 1) != 0, signed = (o.Immediate & 2) != 0;
        int count = words ? 8 : 16;
        int* first = stackalloc int[16], second = stackalloc int[16];
        Elements(o.First, words, signed, first);
        Elements(o.Second, words, signed, second);
        int firstLength = explicitLengths ? Clamp(o.Registers->Eax, count) : Terminated(first, count);
        int secondLength = explicitLengths ? Clamp(o.Registers->Edx, count) : Terminated(second, count);

        uint result = (o.Immediate >> 2 & 3) switch
        {
            0 => EqualAny(first, firstLength, second, secondLength),
            1 => Ranges(first, firstLength, second, secondLength),
            2 => EqualEach(first, firstLength, second, secondLength, count),
            _ => EqualOrdered(first, firstLength, second, secondLength, count),
        };

        // Polarity: as it is, all inverted, or those inside the second string inverted.
        uint all = (1u << count) - 1;
        result ^= (o.Immediate >> 4 & 3) switch
        {
            1 => all,
            3 => (1u << secondLength) - 1,
            _ => 0,
        };

        if (!mask)
        {
            bool last = (o.Immediate & 0x40) != 0;
            o.Registers->Ecx = (uint)(result == 0 ? count : last ? System.Numerics.BitOperations.Log2(result) : System.Numerics.BitOperations.TrailingZeroCount(result));
        }
        else if ((o.Immediate & 0x40) == 0)
        {
            o.Set(Vector128.CreateScalar(result));
        }
        else if (words)
        {
            o.Set(Expand<ushort>(result, ushort.MaxValue));
        }
        else
        {
            o.Set(Expand<byte>(result, byte.MaxValue));
        }

        SetFlags(
            in o,
            (result != 0 ? Flags.Cf : 0) | (secondLength < count ? Flags.Zf : 0) | (firstLength < count ? Flags.Sf : 0) | ((result & 1) != 0 ? Flags.Of : 0));
    }

    private static void Elements(byte* from, bool words, bool signed, int* to)
    {
        for (int i = 0; i < (words ? 8 : 16); i++)
        {
            to[i] = words ? signed ? ((short*)from)[i] : ((ushort*)from)[i] : signed ? (sbyte)from[i] : from[i];
        }
    }

    private static int Clamp(uint length, int count) => (int)Math.Min(Math.Abs((long)(int)length), count);

    private static int Terminated(int* elements, int count)
    {
        int length = 0;
        while (length < count && elements[length] != 0)
        {
            length++;
        }

        return length;
    }

    private static uint EqualAny(int* set, int setLength, int* text, int textLength)
    {
        uint result = 0;
        for (int j = 0; j < textLength; j++)
        {
            for (int i = 0; i < setLength; i++)
            {
                result |= text[j] == set[i] ? 1u << j : 0;
            }
        }

        return result;
    }

    // A pair whose upper bound is beyond the end is none.
    private static uint Ranges(int* bounds, int boundsLength, int* text, int textLength)
    {
        uint result = 0;
        for (int j = 0; j < textLength; j++)
        {
            for (int i = 0; i + 1 < boundsLength; i += 2)
            {
                result |= text[j] >= bounds[i] && text[j] <= bounds[i + 1] ? 1u << j : 0;
            }
        }

        return result;
    }

    // Two elements beyond both ends are equal, one beyond is not.
    private static uint EqualEach(int* first, int firstLength, int* second, int secondLength, int count)
    {
        uint result = 0;
        for (int i = 0; i < count; i++)
        {
            bool equal = i < firstLength && i < secondLength ? first[i] == second[i] : i >= firstLength && i >= secondLength;
            result |= equal ? 1u << i : 0;
        }

        return result;
    }

    // Where the first string begins in the second, or would if the second went on.
    private static uint EqualOrdered(int* part, int partLength, int* text, int textLength, int count)
    {
        uint result = 0;
        for (int j = 0; j < count; j++)
        {
            bool found = true;
            for (int i = 0; i < partLength && i + j < count; i++)
            {
                found &= i + j < textLength && part[i] == text[i + j];
            }

            result |= found ? 1u << j : 0;
        }

        return result;
    }

    private static Vector128<T> Expand<T>(uint bits, T ones)
        where T : unmanaged
    {
        Vector128<T> result = Vector128<T>.Zero;
        for (int i = 0; i < Vector128<T>.Count; i++)
        {
            result = (bits >> i & 1) != 0 ? result.WithElement(i, ones) : result;
        }

        return result;
    }
}
