using System.Reflection.Emit;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit;

internal sealed partial class InstructionEmitter
{
    /// <summary>Number of the 32-bit register that holds <paramref name="register"/> (AH is in 0).</summary>
    public static int NumberOf(Register register) => (int)register.GetFullRegister32() - (int)Iced.Intel.Register.EAX;

    /// <summary>Size in bytes of an operand.</summary>
    public static int SizeOf(in Instruction instruction, int operand) =>
        instruction.GetOpKind(operand) switch
        {
            OpKind.Register => instruction.GetOpRegister(operand).GetSize(),
            OpKind.Memory => instruction.MemorySize.GetSize(),
            _ => throw new InvalidOperationException($"Operand {operand} of {instruction.Code} has no size of its own."),
        };

    /// <summary>Whether an operand is an immediate.</summary>
    public static bool IsImmediate(in Instruction instruction, int operand) =>
        instruction.GetOpKind(operand) is >= OpKind.Immediate8 and <= OpKind.Immediate8to32;

    /// <summary>Pushes a register, zero-extended.</summary>
    public void PushRegister(Register register)
    {
        Push(Value.Register(NumberOf(register)));
        if (register is >= Iced.Intel.Register.AH and <= Iced.Intel.Register.BH)
        {
            Constant(8);
            Il.Emit(OpCodes.Shr_Un);
            Il.Emit(OpCodes.Conv_U1);
        }
        else
        {
            Truncate(register.GetSize());
        }
    }

    /// <summary>A register's value: itself where it is 32 bits wide.</summary>
    public Value RegisterValue(Register register)
    {
        if (register.IsGPR32())
        {
            return Value.Register(NumberOf(register));
        }

        PushRegister(register);
        return StoreValue();
    }

    /// <summary>Writes the low bits of a value to a register.</summary>
    public void SetRegister(Register register, Value value)
    {
        int number = NumberOf(register);
        if ((WrittenRegisters >> number & 1) == 0)
        {
            throw new InvalidOperationException($"The translation of {_mnemonic} writes register {number}, which the region's summary does not have.");
        }

        if (value.IsRegister(number) && register.IsGPR32())
        {
            return;
        }

        _registerWritten = true;
        Flags = Flags.Preserve(this, number);
        if (register.IsGPR32())
        {
            PushWide(value);
        }
        else
        {
            bool high = register is >= Iced.Intel.Register.AH and <= Iced.Intel.Register.BH;
            int mask = high ? 0xFF00 : register.IsGPR16() ? 0xFFFF : 0xFF;

            // A value from memory comes first: RyuJIT reads it where it is used, and nothing may stand before that.
            Push(value);
            Truncate(register.GetSize());
            if (high)
            {
                Constant(8);
                Il.Emit(OpCodes.Shl);
            }

            Push(Value.Register(number));
            Constant(~mask);
            Il.Emit(OpCodes.And);
            Il.Emit(OpCodes.Or);
            Il.Emit(OpCodes.Conv_U8);
        }

        Il.Emit(OpCodes.Stloc, RegisterLocal(number));
    }

    /// <summary>Writes a whole register by number.</summary>
    public void SetRegister(Gpr register, Value value) => SetRegister(Iced.Intel.Register.EAX + (int)register, value);

    /// <summary>A source operand of <paramref name="size"/> bytes; memory is read, which may leave.</summary>
    public Value Source(in Instruction instruction, int operand, int size)
    {
        switch (instruction.GetOpKind(operand))
        {
            case OpKind.Register:
                return RegisterValue(instruction.GetOpRegister(operand));
            case OpKind.Memory:
                return Load(Place(instruction, size, write: false), size);
            default:
                int value = (int)(uint)instruction.GetImmediate(operand);
                return Value.Constant(size switch { 1 => (byte)value, 2 => (ushort)value, _ => value });
        }
    }

    /// <summary>The host address of the memory operand, checked. May leave.</summary>
    public LocalBuilder Host(in Instruction instruction, int size, bool write) => Host(instruction, size, write, default);

    /// <summary>The same for the operand moved by a byte offset that is in a local (bit strings).</summary>
    public LocalBuilder Host(in Instruction instruction, int size, bool write, Value offset)
    {
        MemorySite site = SiteOf(instruction, size, write);
        if (offset.Kind == ValueKind.Local)
        {
            return _memory.EmitHostAddress(this, Linear(site, offset), size, write, MemoryExit(site with { Size = MemorySite.Elsewhere }));
        }

        return SpanHost(site) ?? _memory.EmitHostAddress(this, Linear(site, default), size, write, MemoryExit(site));
    }

    /// <summary>The host address for reading at a linear address in a 64-bit local, whose bytes are in one page. May leave.</summary>
    public LocalBuilder HostOf(LocalBuilder linear, int size) => _memory.EmitHostAddress(this, linear, size, false, SideExit(SideExitKind.Rare));

    /// <summary>The host address of a memory operand that must be aligned on its size. May leave.</summary>
    public LocalBuilder HostAligned(in Instruction instruction, int size, bool write)
    {
        MemorySite site = SiteOf(instruction, size, write);
        if (SpanHost(site) is not { } host)
        {
            return _memory.EmitHostAddress(this, Linear(site, default), size, write, MemoryExit(site), SideExit(SideExitKind.Rare));
        }

        // A page has the same alignment on both sides.
        Il.Emit(OpCodes.Ldloc, host);
        Il.Emit(OpCodes.Conv_I4);
        Constant(size - 1);
        Il.Emit(OpCodes.And);
        Il.Emit(OpCodes.Brtrue, SideExit(SideExitKind.Rare));
        return host;
    }

    /// <summary>The host address of what a register points to, displaced, checked. May leave.</summary>
    public LocalBuilder Host(Gpr register, int displacement, int size, bool write)
    {
        var site = new MemorySite((sbyte)register, -1, 0, (uint)displacement, null, (byte)size, write);
        return SpanHost(site) ?? _memory.EmitHostAddress(this, Linear(site, default), size, write, MemoryExit(site));
    }

    /// <summary>Pushes guest memory at a checked host address, zero-extended.</summary>
    public void PushLoad(LocalBuilder host, int size)
    {
        Il.Emit(OpCodes.Ldloc, host);
        EmitLoad(size);
    }

    /// <summary>Pops a host address, and pushes what is there, zero-extended. Volatile: a guest may spin on it.</summary>
    private void EmitLoad(int size)
    {
        Il.Emit(OpCodes.Volatile);
        if (size > 1)
        {
            Il.Emit(OpCodes.Unaligned, (byte)1);
        }

        Il.Emit(size switch { 1 => OpCodes.Ldind_U1, 2 => OpCodes.Ldind_U2, _ => OpCodes.Ldind_I4 });
    }

    /// <summary>Pushes the effective address, 32 bits, without the segment's base.</summary>
    public void PushEffectiveAddress(in Instruction instruction, Value offset = default)
    {
        bool any = false;
        if (instruction.MemoryBase != Iced.Intel.Register.None)
        {
            PushRegister(instruction.MemoryBase);
            any = true;
        }

        if (instruction.MemoryIndex != Iced.Intel.Register.None)
        {
            PushRegister(instruction.MemoryIndex);
            if (instruction.MemoryIndexScale > 1)
            {
                Constant(System.Numerics.BitOperations.Log2((uint)instruction.MemoryIndexScale));
                Il.Emit(OpCodes.Shl);
            }

            any = Add(any);
        }

        if (instruction.MemoryDisplacement32 != 0 || !any)
        {
            Constant((int)instruction.MemoryDisplacement32);
            any = Add(any);
        }

        if (offset.Kind == ValueKind.Local)
        {
            Push(offset);
            Add(any);
        }

        bool Add(bool second)
        {
            if (second)
            {
                Il.Emit(OpCodes.Add);
            }

            return true;
        }
    }

    /// <summary>The linear address of an access in a 64-bit local.</summary>
    private LocalBuilder Linear(in MemorySite site, Value offset)
    {
        LocalBuilder linear = Temp(typeof(ulong));
        if (site is { Base: >= 0, Index: < 0, Segment: null, Displacement: 0 } && offset.Kind != ValueKind.Local)
        {
            PushWide(Value.Register(site.Base));
            Il.Emit(OpCodes.Stloc, linear);
            return linear;
        }

        bool any = false;
        if (site.Base >= 0)
        {
            Push(Value.Register(site.Base));
            any = true;
        }

        if (site.Index >= 0)
        {
            Push(Value.Register(site.Index));
            if (site.Shift > 0)
            {
                Constant(site.Shift);
                Il.Emit(OpCodes.Shl);
            }

            any = AddIf(any);
        }

        if (site.Displacement != 0 || !any)
        {
            Constant((int)site.Displacement);
            any = AddIf(any);
        }

        if (offset.Kind == ValueKind.Local)
        {
            Push(offset);
            AddIf(any);
        }

        if (site.Segment is { } segment)
        {
            LoadState(StateLayout.SegmentBase(segment), OpCodes.Ldind_I4);
            Il.Emit(OpCodes.Add);
        }

        Il.Emit(OpCodes.Conv_U8);
        Il.Emit(OpCodes.Stloc, linear);
        return linear;
    }

    private bool AddIf(bool second)
    {
        if (second)
        {
            Il.Emit(OpCodes.Add);
        }

        return true;
    }

    private static SegmentIndex? BasedSegment(Register segment) => segment switch
    {
        Iced.Intel.Register.FS => SegmentIndex.Fs,
        Iced.Intel.Register.GS => SegmentIndex.Gs,
        _ => null,
    };

    /// <summary>A memory operand, as exits tell of it.</summary>
    public static MemorySite SiteOf(in Instruction instruction, int size, bool write) => new(
        (sbyte)(instruction.MemoryBase == Iced.Intel.Register.None ? -1 : NumberOf(instruction.MemoryBase)),
        (sbyte)(instruction.MemoryIndex == Iced.Intel.Register.None ? -1 : NumberOf(instruction.MemoryIndex)),
        (byte)System.Numerics.BitOperations.Log2((uint)Math.Max(1, instruction.MemoryIndexScale)),
        instruction.MemoryDisplacement32,
        BasedSegment(instruction.MemorySegment),
        (byte)size,
        write);
}
