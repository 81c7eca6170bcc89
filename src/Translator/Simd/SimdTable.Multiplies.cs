using System.Runtime.Intrinsics;
using Iced.Intel;

namespace Dbt.Translator.Simd;

// Products, sums of products and of differences, horizontal sums.
internal static unsafe partial class SimdTable
{
    private static void AddMultiplies()
    {
        Add(Mnemonic.Pmullw, Lanes<short>((a, b) => a * b));
        Add(Mnemonic.Pmulld, Lanes<int>((a, b) => a * b));
        Add(Mnemonic.Pmulhw, Each<short>((a, b) => (short)((a * b) >> 16)));
        Add(Mnemonic.Pmulhuw, Each<ushort>((a, b) => (ushort)(((uint)a * b) >> 16)));
        Add(Mnemonic.Pmulhrsw, Each<short>((a, b) => (short)((((a * b) >> 14) + 1) >> 1)));
        Add(Mnemonic.Pmuludq, Lanes<ulong>((a, b) => (a & Vector128.Create(0xFFFFFFFFUL)) * (b & Vector128.Create(0xFFFFFFFFUL))));
        Add(Mnemonic.Pmuldq, Lanes<long>((a, b) => Vector128.Create((long)(int)a[0] * (int)b[0], (long)(int)a[1] * (int)b[1])));
        Add(Mnemonic.Pmaddwd, Pairs<short, int>((a0, a1, b0, b1) => unchecked((a0 * b0) + (a1 * b1))));

        // Unsigned bytes of operand 0 by signed ones of operand 1.
        Add(Mnemonic.Pmaddubsw, Pairs<byte, short>((a0, a1, b0, b1) => Saturated((a0 * (sbyte)b0) + (a1 * (sbyte)b1))));
        Add(Mnemonic.Psadbw, SumOfDifferences);
        Add(Mnemonic.Mpsadbw, SumsOfDifferences);
        Add(Mnemonic.Phminposuw, LeastWord);

        Add(Mnemonic.Phaddw, Horizontal<short>((a, b) => (short)(a + b)));
        Add(Mnemonic.Phaddd, Horizontal<int>((a, b) => a + b));
        Add(Mnemonic.Phaddsw, Horizontal<short>((a, b) => Saturated(a + b)));
        Add(Mnemonic.Phsubw, Horizontal<short>((a, b) => (short)(a - b)));
        Add(Mnemonic.Phsubd, Horizontal<int>((a, b) => a - b));
        Add(Mnemonic.Phsubsw, Horizontal<short>((a, b) => Saturated(a - b)));
    }

    private static short Saturated(int value) => (short)Math.Clamp(value, short.MinValue, short.MaxValue);

    // Each lane by plain C#.
    private static SimdRoutine Each<T>(Func<T, T, T> operation)
        where T : unmanaged => (in SimdOperands o) =>
    {
        Vector128<T> left = o.Left<T>(), right = o.Right<T>();
        T* result = stackalloc T[Vector128<T>.Count];
        for (int i = 0; i < o.Width / sizeof(T); i++)
        {
            result[i] = operation(left[i], right[i]);
        }

        o.Set(Vector128.Load(result));
    };

    // Two lanes of each operand make a lane of twice the size.
    private static SimdRoutine Pairs<TFrom, TTo>(Func<TFrom, TFrom, TFrom, TFrom, TTo> operation)
        where TFrom : unmanaged
        where TTo : unmanaged => (in SimdOperands o) =>
    {
        Vector128<TFrom> left = o.Left<TFrom>(), right = o.Right<TFrom>();
        TTo* result = stackalloc TTo[Vector128<TTo>.Count];
        for (int i = 0; i < o.Width / sizeof(TTo); i++)
        {
            result[i] = operation(left[2 * i], left[(2 * i) + 1], right[2 * i], right[(2 * i) + 1]);
        }

        o.Set(Vector128.Load(result));
    };

    // Neighbours of operand 0 make the lower half, those of operand 1 the upper.
    private static SimdRoutine Horizontal<T>(Func<T, T, T> operation)
        where T : unmanaged => (in SimdOperands o) =>
    {
        Vector128<T> left = o.Left<T>(), right = o.Right<T>();
        T* result = stackalloc T[Vector128<T>.Count];
        int half = o.Width / sizeof(T) / 2;
        for (int i = 0; i < half; i++)
        {
            result[i] = operation(left[2 * i], left[(2 * i) + 1]);
            result[half + i] = operation(right[2 * i], right[(2 * i) + 1]);
        }

        o.Set(Vector128.Load(result));
    };

    private static void SumOfDifferences(in SimdOperands o)
    {
        Vector128<byte> left = o.Left<byte>(), right = o.Right<byte>();
        ulong* sums = stackalloc ulong[2] { 0, 0 };
        for (int i = 0; i < 16; i++)
        {
            sums[i >> 3] += (uint)Math.Abs(left[i] - right[i]);
        }

        o.Set(Vector128.Load(sums));
    }

    private static void SumsOfDifferences(in SimdOperands o)
    {
        // Eight sums of four: a window of operand 0 that moves on, against four bytes of operand 1.
        Vector128<byte> left = o.Left<byte>(), right = o.Right<byte>();
        int window = (o.Immediate >> 2 & 1) * 4, block = (o.Immediate & 3) * 4;
        ushort* sums = stackalloc ushort[8];
        for (int i = 0; i < 8; i++)
        {
            int sum = 0;
            for (int j = 0; j < 4; j++)
            {
                sum += Math.Abs(left[window + i + j] - right[block + j]);
            }

            sums[i] = (ushort)sum;
        }

        o.Set(Vector128.Load(sums));
    }

    private static void LeastWord(in SimdOperands o)
    {
        Vector128<ushort> words = o.Right<ushort>();
        int place = 0;
        for (int i = 1; i < 8; i++)
        {
            place = words[i] < words[place] ? i : place;
        }

        o.Set(Vector128.CreateScalar(words[place]).WithElement(1, (ushort)place));
    }
}
