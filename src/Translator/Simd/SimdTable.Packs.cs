using System.Runtime.Intrinsics;
using Iced.Intel;

namespace Dbt.Translator.Simd;

// Narrower lanes with saturation, wider ones with sign or zeros.
internal static unsafe partial class SimdTable
{
    private static void AddPacks()
    {
        Add(Mnemonic.Packsswb, Pack<short, sbyte>(v => (sbyte)Math.Clamp(v, sbyte.MinValue, sbyte.MaxValue)));
        Add(Mnemonic.Packuswb, Pack<short, byte>(v => (byte)Math.Clamp(v, byte.MinValue, byte.MaxValue)));
        Add(Mnemonic.Packssdw, Pack<int, short>(v => (short)Math.Clamp(v, short.MinValue, short.MaxValue)));
        Add(Mnemonic.Packusdw, Pack<int, ushort>(v => (ushort)Math.Clamp(v, ushort.MinValue, ushort.MaxValue)));

        Add(Mnemonic.Pmovsxbw, Widen<sbyte, short>(v => v));
        Add(Mnemonic.Pmovsxbd, Widen<sbyte, int>(v => v));
        Add(Mnemonic.Pmovsxbq, Widen<sbyte, long>(v => v));
        Add(Mnemonic.Pmovsxwd, Widen<short, int>(v => v));
        Add(Mnemonic.Pmovsxwq, Widen<short, long>(v => v));
        Add(Mnemonic.Pmovsxdq, Widen<int, long>(v => v));
        Add(Mnemonic.Pmovzxbw, Widen<byte, ushort>(v => v));
        Add(Mnemonic.Pmovzxbd, Widen<byte, uint>(v => v));
        Add(Mnemonic.Pmovzxbq, Widen<byte, ulong>(v => v));
        Add(Mnemonic.Pmovzxwd, Widen<ushort, uint>(v => v));
        Add(Mnemonic.Pmovzxwq, Widen<ushort, ulong>(v => v));
        Add(Mnemonic.Pmovzxdq, Widen<uint, ulong>(v => v));
    }

    private static SimdRoutine Pack<TFrom, TTo>(Func<TFrom, TTo> narrow)
        where TFrom : unmanaged
        where TTo : unmanaged => (in SimdOperands o) =>
    {
        Vector128<TFrom> left = o.Left<TFrom>(), right = o.Right<TFrom>();
        int count = o.Width / sizeof(TFrom);
        TTo* result = stackalloc TTo[Vector128<TTo>.Count];
        for (int i = 0; i < count; i++)
        {
            result[i] = narrow(left[i]);
            result[count + i] = narrow(right[i]);
        }

        o.Set(Vector128.Load(result));
    };

    // Reads as many lanes as the result holds, and no byte more of memory.
    private static SimdRoutine Widen<TFrom, TTo>(Func<TFrom, TTo> widen)
        where TFrom : unmanaged
        where TTo : unmanaged => (in SimdOperands o) =>
    {
        var from = (TFrom*)o.Second;
        TTo* result = stackalloc TTo[Vector128<TTo>.Count];
        for (int i = 0; i < Vector128<TTo>.Count; i++)
        {
            result[i] = widen(from[i]);
        }

        o.Set(Vector128.Load(result));
    };
}
