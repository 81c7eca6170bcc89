using Dbt.Translator.FloatingPoint;

namespace Dbt.Translator.Simd;

/// <summary>Lanes of binary32 or binary64, as the soft-float core takes them, and the exceptions of one instruction.</summary>
internal unsafe ref struct FloatLanes
{
    /// <summary>What steers the operations, and the exceptions so far.</summary>
    public FloatStatus Status;

    private readonly uint* _mxcsr;
    private readonly bool _wide;

    /// <summary>For one instruction.</summary>
    /// <param name="operands">Its operands, for MXCSR.</param>
    /// <param name="wide">binary64 instead of binary32.</param>
    public FloatLanes(in SimdOperands operands, bool wide)
    {
        _mxcsr = operands.Mxcsr;
        _wide = wide;
        Status = FloatStatus.FromMxcsr(*_mxcsr);
    }

    /// <summary>Format of the lanes.</summary>
    public readonly FloatFormat Format => _wide ? FloatFormat.Double : FloatFormat.Single;

    /// <summary>A lane's encoding; a denormal's is that of a zero under DAZ.</summary>
    public readonly ulong Bits(byte* vector, int lane)
    {
        ulong bits = _wide ? ((ulong*)vector)[lane] : ((uint*)vector)[lane];
        ulong exponent = _wide ? 0x7FFUL << 52 : 0xFFUL << 23, sign = _wide ? 1UL << 63 : 1UL << 31;
        return Status.DenormalsAreZero && (bits & exponent) == 0 ? bits & sign : bits;
    }

    /// <summary>A lane as a number.</summary>
    public readonly Unpacked Read(byte* vector, int lane) => _wide
        ? Unpacked.FromDouble(((ulong*)vector)[lane], Status.DenormalsAreZero)
        : Unpacked.FromSingle(((uint*)vector)[lane], Status.DenormalsAreZero);

    /// <summary>Rounds a result to the lanes' format.</summary>
    public Unpacked Round(in Unpacked value) => SoftFloat.Round(value, Format, ref Status);

    /// <summary>Writes a rounded result.</summary>
    public readonly void Write(byte* vector, int lane, in Unpacked value) => WriteBits(vector, lane, _wide ? value.ToDouble() : value.ToSingle());

    /// <summary>Writes an encoding.</summary>
    public readonly void WriteBits(byte* vector, int lane, ulong bits)
    {
        if (_wide)
        {
            ((ulong*)vector)[lane] = bits;
        }
        else
        {
            ((uint*)vector)[lane] = (uint)bits;
        }
    }

    /// <summary>Adds the exceptions to MXCSR; the instruction's last deed.</summary>
    public readonly void Finish() => *_mxcsr |= (uint)Status.Flags;
}
