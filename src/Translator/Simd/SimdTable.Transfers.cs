using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Iced.Intel;

namespace Dbt.Translator.Simd;

// One lane between a vector and a general register or memory.
internal static unsafe partial class SimdTable
{
    private static void AddTransfers()
    {
        Add(Mnemonic.Pextrb, (in SimdOperands o) => o.SetScalar(o.Right<byte>()[o.Immediate & 15]));
        Add(Mnemonic.Pextrw, (in SimdOperands o) => o.SetScalar(o.Right<ushort>()[o.Immediate & ((o.Width / 2) - 1)]));
        Add(Mnemonic.Pextrd, (in SimdOperands o) => o.SetScalar(o.Right<uint>()[o.Immediate & 3]));
        Add(Mnemonic.Extractps, (in SimdOperands o) => o.SetScalar(o.Right<uint>()[o.Immediate & 3]));
        Add(Mnemonic.Pinsrb, (in SimdOperands o) => o.Set(o.Left<byte>().WithElement(o.Immediate & 15, *o.Second)));
        Add(Mnemonic.Pinsrw, (in SimdOperands o) =>
            o.Set(o.Left<ushort>().WithElement(o.Immediate & ((o.Width / 2) - 1), Unsafe.ReadUnaligned<ushort>(o.Second))));
        Add(Mnemonic.Pinsrd, (in SimdOperands o) => o.Set(o.Left<uint>().WithElement(o.Immediate & 3, Unsafe.ReadUnaligned<uint>(o.Second))));
        Add(Mnemonic.Insertps, (in SimdOperands o) =>
        {
            // From memory there is but one to choose.
            uint value = o.MemorySize != 0 ? Unsafe.ReadUnaligned<uint>(o.Second) : o.Right<uint>()[o.Immediate >> 6 & 3];
            Vector128<uint> result = o.Left<uint>().WithElement(o.Immediate >> 4 & 3, value);
            for (int i = 0; i < 4; i++)
            {
                result = (o.Immediate >> i & 1) != 0 ? result.WithElement(i, 0u) : result;
            }

            o.Set(result);
        });
    }
}
