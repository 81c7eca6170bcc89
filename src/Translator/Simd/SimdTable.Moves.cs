using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Iced.Intel;

namespace Dbt.Translator.Simd;

// Moves of whole registers, halves and scalars.
internal static unsafe partial class SimdTable
{
    private static void AddMoves()
    {
        Mnemonic[] whole =
        [
            Mnemonic.Movaps, Mnemonic.Movapd, Mnemonic.Movups, Mnemonic.Movupd, Mnemonic.Movdqa, Mnemonic.Movdqu, Mnemonic.Lddqu,
            Mnemonic.Movntps, Mnemonic.Movntpd, Mnemonic.Movntdq, Mnemonic.Movntdqa, Mnemonic.Movntq,
        ];
        foreach (Mnemonic mnemonic in whole)
        {
            Add(mnemonic, (in SimdOperands o) => o.Set(o.Right<byte>()));
        }

        // To XMM with zeros above, to MMX and memory as it is; with a general register 4 bytes.
        Add(Mnemonic.Movd, (in SimdOperands o) => SetLow(in o, Unsafe.ReadUnaligned<uint>(o.Second), 4));
        Add(Mnemonic.Movq, (in SimdOperands o) => SetLow(in o, Unsafe.ReadUnaligned<ulong>(o.Second), 8));
        Add(Mnemonic.Movq2dq, (in SimdOperands o) => Unsafe.WriteUnaligned(o.Result, Vector128.CreateScalar(Unsafe.ReadUnaligned<ulong>(o.Second))));
        Add(Mnemonic.Movdq2q, (in SimdOperands o) => Unsafe.WriteUnaligned(o.Result, Unsafe.ReadUnaligned<ulong>(o.Second)));
        Add(Mnemonic.Movss, (in SimdOperands o) => MoveScalar(in o, 4));
        Add(Mnemonic.Movsd, (in SimdOperands o) => MoveScalar(in o, 8));

        // A half of a register, from and to memory or the other half.
        Add(Mnemonic.Movlps, (in SimdOperands o) => MoveHalf(in o, 0));
        Add(Mnemonic.Movlpd, (in SimdOperands o) => MoveHalf(in o, 0));
        Add(Mnemonic.Movhps, (in SimdOperands o) => MoveHalf(in o, 8));
        Add(Mnemonic.Movhpd, (in SimdOperands o) => MoveHalf(in o, 8));
        Add(Mnemonic.Movhlps, Lanes<ulong>((a, b) => a.WithElement(0, b[1])));
        Add(Mnemonic.Movlhps, Lanes<ulong>((a, b) => a.WithElement(1, b[0])));

        Add(Mnemonic.Movddup, (in SimdOperands o) => o.Set(Vector128.Create(Unsafe.ReadUnaligned<ulong>(o.Second))));
        Add(Mnemonic.Movshdup, (in SimdOperands o) => o.Set(Quarters(o.Right<uint>(), o.Right<uint>(), 0xF5)));
        Add(Mnemonic.Movsldup, (in SimdOperands o) => o.Set(Quarters(o.Right<uint>(), o.Right<uint>(), 0xA0)));
        Add(Mnemonic.Emms, static (in SimdOperands _) => { });
    }

    // Whether operand 0 is an XMM register: then the result is 16 bytes.
    private static bool WritesXmm(in SimdOperands o) => o.Result == (byte*)o.Registers->Xmm;

    private static void SetLow(in SimdOperands o, ulong value, int size)
    {
        if (WritesXmm(in o))
        {
            Unsafe.WriteUnaligned(o.Result, Vector128.CreateScalar(value));
        }
        else if (size == 8 || (!o.Stores && o.Result != (byte*)&o.Registers->Explicit))
        {
            Unsafe.WriteUnaligned(o.Result, value);
        }
        else
        {
            Unsafe.WriteUnaligned(o.Result, (uint)value);
        }
    }

    private static void MoveScalar(in SimdOperands o, int size)
    {
        if (WritesXmm(in o) && o.MemorySize != 0)
        {
            Unsafe.WriteUnaligned(o.Result, Vector128<byte>.Zero);
        }

        Unsafe.CopyBlockUnaligned(o.Result, o.Second, (uint)size);
    }

    private static void MoveHalf(in SimdOperands o, int half)
    {
        bool load = WritesXmm(in o);
        Unsafe.CopyBlockUnaligned(o.Result + (load ? half : 0), o.Second + (load ? 0 : half), 8);
    }
}
