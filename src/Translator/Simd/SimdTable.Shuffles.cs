using System.Runtime.Intrinsics;
using Iced.Intel;

namespace Dbt.Translator.Simd;

// Lanes to other places: by immediate, by a vector of indices, interleaved.
internal static unsafe partial class SimdTable
{
    private static void AddShuffles()
    {
        Add(Mnemonic.Pshufb, (in SimdOperands o) =>
        {
            Vector128<byte> value = o.Left<byte>(), places = o.Right<byte>();
            byte* result = stackalloc byte[16];
            for (int i = 0; i < 16; i++)
            {
                result[i] = (places[i] & 0x80) != 0 ? (byte)0 : value[places[i] & (o.Width - 1)];
            }

            o.Set(Vector128.Load(result));
        });
        Add(Mnemonic.Pshufd, (in SimdOperands o) => o.Set(Quarters(o.Right<uint>(), o.Right<uint>(), o.Immediate)));
        Add(Mnemonic.Shufps, (in SimdOperands o) => o.Set(Quarters(o.Left<uint>(), o.Right<uint>(), o.Immediate)));
        Add(Mnemonic.Shufpd, (in SimdOperands o) =>
            o.Set(Vector128.Create(o.Left<ulong>()[o.Immediate & 1], o.Right<ulong>()[o.Immediate >> 1 & 1])));
        Add(Mnemonic.Pshufw, (in SimdOperands o) => o.Set(Words(o.Right<ushort>(), 0, o.Immediate)));
        Add(Mnemonic.Pshuflw, (in SimdOperands o) => o.Set(Words(o.Right<ushort>(), 0, o.Immediate)));
        Add(Mnemonic.Pshufhw, (in SimdOperands o) => o.Set(Words(o.Right<ushort>(), 4, o.Immediate)));

        Add(Mnemonic.Punpcklbw, Interleave<byte>(high: false));
        Add(Mnemonic.Punpcklwd, Interleave<ushort>(high: false));
        Add(Mnemonic.Punpckldq, Interleave<uint>(high: false));
        Add(Mnemonic.Punpcklqdq, Interleave<ulong>(high: false));
        Add(Mnemonic.Punpckhbw, Interleave<byte>(high: true));
        Add(Mnemonic.Punpckhwd, Interleave<ushort>(high: true));
        Add(Mnemonic.Punpckhdq, Interleave<uint>(high: true));
        Add(Mnemonic.Punpckhqdq, Interleave<ulong>(high: true));
        Add(Mnemonic.Unpcklps, Interleave<uint>(high: false));
        Add(Mnemonic.Unpcklpd, Interleave<ulong>(high: false));
        Add(Mnemonic.Unpckhps, Interleave<uint>(high: true));
        Add(Mnemonic.Unpckhpd, Interleave<ulong>(high: true));
    }

    private static Vector128<uint> Quarters(Vector128<uint> low, Vector128<uint> high, int places) =>
        Vector128.Create(low[places & 3], low[places >> 2 & 3], high[places >> 4 & 3], high[places >> 6 & 3]);

    private static Vector128<ushort> Words(Vector128<ushort> value, int start, int places)
    {
        Vector128<ushort> result = value;
        for (int i = 0; i < 4; i++)
        {
            result = result.WithElement(start + i, value[start + (places >> (2 * i) & 3)]);
        }

        return result;
    }

    private static SimdRoutine Interleave<T>(bool high)
        where T : unmanaged => (in SimdOperands o) =>
    {
        Vector128<T> left = o.Left<T>(), right = o.Right<T>();
        int half = o.Width / sizeof(T) / 2;
        int start = high ? half : 0;
        T* result = stackalloc T[Vector128<T>.Count];
        for (int i = 0; i < half; i++)
        {
            result[2 * i] = left[start + i];
            result[(2 * i) + 1] = right[start + i];
        }

        o.Set(Vector128.Load(result));
    };
}
