using System.Runtime.Intrinsics;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Simd;

// Comparisons into masks, masks into registers and flags, blends by masks.
internal static unsafe partial class SimdTable
{
    private static void AddComparisons()
    {
        Add(Mnemonic.Pcmpeqb, Lanes<byte>(Vector128.Equals));
        Add(Mnemonic.Pcmpeqw, Lanes<ushort>(Vector128.Equals));
        Add(Mnemonic.Pcmpeqd, Lanes<uint>(Vector128.Equals));
        Add(Mnemonic.Pcmpeqq, Lanes<ulong>(Vector128.Equals));
        Add(Mnemonic.Pcmpgtb, Lanes<sbyte>(Vector128.GreaterThan));
        Add(Mnemonic.Pcmpgtw, Lanes<short>(Vector128.GreaterThan));
        Add(Mnemonic.Pcmpgtd, Lanes<int>(Vector128.GreaterThan));
        Add(Mnemonic.Pcmpgtq, Lanes<long>(Vector128.GreaterThan));

        Add(Mnemonic.Pmovmskb, (in SimdOperands o) => o.Registers->Explicit = o.Right<byte>().ExtractMostSignificantBits());
        Add(Mnemonic.Movmskps, (in SimdOperands o) => o.Registers->Explicit = o.Right<uint>().ExtractMostSignificantBits());
        Add(Mnemonic.Movmskpd, (in SimdOperands o) => o.Registers->Explicit = o.Right<ulong>().ExtractMostSignificantBits());

        Add(Mnemonic.Ptest, (in SimdOperands o) =>
        {
            bool zero = (o.Left<ulong>() & o.Right<ulong>()) == Vector128<ulong>.Zero;
            bool carry = (~o.Left<ulong>() & o.Right<ulong>()) == Vector128<ulong>.Zero;
            SetFlags(in o, (zero ? Flags.Zf : 0) | (carry ? Flags.Cf : 0));
        });

        // Masks of lanes: all ones where the sign bit of XMM0's lane is set.
        Add(Mnemonic.Pblendvb, (in SimdOperands o) => BlendBySign<sbyte>(in o));
        Add(Mnemonic.Blendvps, (in SimdOperands o) => BlendBySign<int>(in o));
        Add(Mnemonic.Blendvpd, (in SimdOperands o) => BlendBySign<long>(in o));
        Add(Mnemonic.Pblendw, (in SimdOperands o) => BlendByBits<ushort>(in o));
        Add(Mnemonic.Blendps, (in SimdOperands o) => BlendByBits<uint>(in o));
        Add(Mnemonic.Blendpd, (in SimdOperands o) => BlendByBits<ulong>(in o));
    }

    private static void SetFlags(in SimdOperands o, uint flags) => o.Registers->Eflags = (o.Registers->Eflags & ~Flags.Status) | flags;

    private static void BlendBySign<T>(in SimdOperands o)
        where T : unmanaged
    {
        Vector128<T> mask = Vector128.LessThan(Vector128.Load((T*)o.Implicit), Vector128<T>.Zero);
        o.Set(Vector128.ConditionalSelect(mask, o.Right<T>(), o.Left<T>()));
    }

    private static void BlendByBits<T>(in SimdOperands o)
        where T : unmanaged
    {
        Vector128<T> result = o.Left<T>(), other = o.Right<T>();
        for (int i = 0; i < Vector128<T>.Count; i++)
        {
            if ((o.Immediate >> i & 1) != 0)
            {
                result = result.WithElement(i, other.GetElement(i));
            }
        }

        o.Set(result);
    }
}
