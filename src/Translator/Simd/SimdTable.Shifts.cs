using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Iced.Intel;

namespace Dbt.Translator.Simd;

// Shifts of lanes by one count (an immediate or the low 64 bits of operand 1), and of whole registers by bytes.
internal static unsafe partial class SimdTable
{
    private delegate Vector128<T> ShiftOperation<T>(Vector128<T> value, int count);

    private static void AddShifts()
    {
        Add(Mnemonic.Psllw, Shift<ushort>((v, n) => v << n, arithmetic: false));
        Add(Mnemonic.Pslld, Shift<uint>((v, n) => v << n, arithmetic: false));
        Add(Mnemonic.Psllq, Shift<ulong>((v, n) => v << n, arithmetic: false));
        Add(Mnemonic.Psrlw, Shift<ushort>((v, n) => v >>> n, arithmetic: false));
        Add(Mnemonic.Psrld, Shift<uint>((v, n) => v >>> n, arithmetic: false));
        Add(Mnemonic.Psrlq, Shift<ulong>((v, n) => v >>> n, arithmetic: false));
        Add(Mnemonic.Psraw, Shift<short>((v, n) => v >> n, arithmetic: true));
        Add(Mnemonic.Psrad, Shift<int>((v, n) => v >> n, arithmetic: true));

        Add(Mnemonic.Pslldq, (in SimdOperands o) => o.Set(Bytes(Vector128<byte>.Zero, o.Left<byte>(), 16 - Math.Min(o.Immediate, 16))));
        Add(Mnemonic.Psrldq, (in SimdOperands o) => o.Set(Bytes(o.Left<byte>(), Vector128<byte>.Zero, Math.Min(o.Immediate, 16))));
        Add(Mnemonic.Palignr, AlignRight);
    }

    private static SimdRoutine Shift<T>(ShiftOperation<T> operation, bool arithmetic)
        where T : unmanaged => (in SimdOperands o) =>
    {
        int bits = sizeof(T) * 8;
        ulong count = o.Second == null ? (ulong)o.Immediate : Unsafe.ReadUnaligned<ulong>(o.Second);
        o.Set(count < (ulong)bits ? operation(o.Left<T>(), (int)count)
            : arithmetic ? operation(o.Left<T>(), bits - 1)
            : Vector128<T>.Zero);
    };

    // Sixteen of the bytes low, high from a start of 0 to 16.
    private static Vector128<byte> Bytes(Vector128<byte> low, Vector128<byte> high, int start)
    {
        byte* both = stackalloc byte[32];
        low.Store(both);
        high.Store(both + 16);
        return Vector128.Load(both + start);
    }

    private static void AlignRight(in SimdOperands o)
    {
        // Operand 1 is the lower half; beyond both there are zeros.
        byte* both = stackalloc byte[48];
        o.Right<byte>().Store(both);
        Vector128<byte>.Zero.Store(both + 16);
        Vector128<byte>.Zero.Store(both + 32);
        o.Left<byte>().Store(both + o.Width);
        o.Set(Vector128.Load(both + Math.Min(o.Immediate, 2 * o.Width)));
    }
}
