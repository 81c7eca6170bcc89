using Dbt.Translator.FloatingPoint;
using Dbt.Translator.Interpretation.Native;

namespace Dbt.Translator.Interpretation.Portable;

/// <summary>
/// The x87 unit while it executes one instruction: registers and tags relative to TOP, and what the instruction raises. A routine
/// computes first, asks <see cref="Stopped"/>, then writes; <see cref="Finish"/> brings the status word up to date.
/// </summary>
internal unsafe ref struct X87Unit
{
    /// <summary>C0, C1, C2, C3 in the status word.</summary>
    public const ushort C0 = 0x100, C1 = 0x200, C2 = 0x400, C3 = 0x4000;

    private const ushort StackFault = 0x40;
    private const FloatFlags Before = FloatFlags.Invalid | FloatFlags.Denormal | FloatFlags.ZeroDivide;

    private readonly FxState* _state;

    /// <summary>Exceptions, masks and rounding.</summary>
    public FloatStatus Status;

    /// <summary>Takes the control word's settings.</summary>
    public X87Unit(byte* area, byte* memory, NativeRegisters* registers)
    {
        _state = (FxState*)area;
        Memory = memory;
        Registers = registers;
        Status = FloatStatus.FromControlWord(_state->ControlWord);
        Precision = FloatFormat.Register(_state->ControlWord);
    }

    /// <summary>The memory operand.</summary>
    public byte* Memory { get; }

    /// <summary>EFLAGS, in and out.</summary>
    public NativeRegisters* Registers { get; }

    /// <summary>What arithmetic rounds to.</summary>
    public FloatFormat Precision { get; }

    /// <summary>An unmasked exception that is found before anything is written: destination, stack and TOP stay.</summary>
    public readonly bool Stopped => (Status.Unmasked & Before) != 0;

    /// <summary>The same, or one that keeps a store to memory from happening.</summary>
    public readonly bool StoreStopped => (Status.Unmasked & ~FloatFlags.Inexact) != 0;

    /// <summary>Whether a register is tagged empty.</summary>
    public readonly bool IsEmpty(int index) => (_state->Tags & TagBit(index)) == 0;

    /// <summary>A register's value.</summary>
    public readonly Unpacked Get(int index)
    {
        byte* register = Register(index);
        return Unpacked.FromExtended(*(ushort*)(register + 8), *(ulong*)register);
    }

    /// <summary>Sign and exponent of a register, and its significand.</summary>
    public readonly ushort GetRaw(int index, out ulong significand)
    {
        significand = *(ulong*)Register(index);
        return *(ushort*)(Register(index) + 8);
    }

    /// <summary>Writes a register and tags it full.</summary>
    public readonly void Set(int index, in Unpacked value) => SetRaw(index, value.ToExtended(out ulong significand), significand);

    /// <inheritdoc cref="Set"/>
    public readonly void SetRaw(int index, ushort head, ulong significand)
    {
        byte* register = Register(index);
        *(ulong*)register = significand;
        *(ulong*)(register + 8) = head;
        _state->Tags |= TagBit(index);
    }

    /// <summary>Tags a register empty.</summary>
    public readonly void Free(int index) => _state->Tags &= (byte)~TagBit(index);

    /// <summary>Takes ST(0) off the stack.</summary>
    public readonly void Pop()
    {
        Free(0);
        Turn(1);
    }

    /// <summary>Pops a number of times.</summary>
    public readonly void Pop(int times)
    {
        for (; times > 0; times--)
        {
            Pop();
        }
    }

    /// <summary>Makes room for a new ST(0), which the caller writes.</summary>
    public readonly void Push() => Turn(7);

    /// <summary>Adds 1, or 7, to TOP.</summary>
    public readonly void Turn(int by) => _state->Turn(by);

    /// <summary>Clears C1, which most instructions do before all else.</summary>
    public readonly void ClearC1() => _state->StatusWord &= unchecked((ushort)~C1);

    /// <summary>Clears C2.</summary>
    public readonly void ClearC2() => _state->StatusWord &= unchecked((ushort)~C2);

    /// <summary>Raises a stack underflow: an empty register was to be read.</summary>
    public void Underflow()
    {
        ClearC1();
        Status.Flags |= FloatFlags.Invalid;
        Status.RoundedUp = false;
        _state->StatusWord |= StackFault;
    }

    /// <summary>Whether there is no room for a push; raises a stack overflow then.</summary>
    public bool Overflows()
    {
        if (IsEmpty(7))
        {
            return false;
        }

        Status.Flags |= FloatFlags.Invalid;
        _state->StatusWord |= StackFault;
        Condition(C1);
        return true;
    }

    /// <summary>Sets one or more condition bits.</summary>
    public readonly void Condition(ushort bits) => _state->StatusWord |= bits;

    /// <summary>Sets C0, C2 and C3 to these, and no others.</summary>
    public readonly void Conditions(int bits) => _state->StatusWord = (ushort)((_state->StatusWord & ~(C0 | C2 | C3)) | bits);

    /// <summary>Flags, C1 and the summary go into the status word.</summary>
    public readonly void Finish()
    {
        // Where an operand's exception stops it, nothing was rounded.
        FloatFlags flags = Stopped ? Status.Flags & Before : Status.Flags;
        _state->StatusWord |= (ushort)flags;
        if (Status.RoundedUp && !Stopped)
        {
            _state->StatusWord |= C1;
        }

        _state->UpdateSummary();
    }

    private readonly byte* Register(int index) => _state->Stack + (16 * index);

    private readonly byte TagBit(int index) => (byte)(1 << ((_state->Top + index) & 7));
}
