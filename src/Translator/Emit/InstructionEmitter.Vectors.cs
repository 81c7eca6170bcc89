using System.Reflection.Emit;
using System.Runtime.Intrinsics;
using Dbt.Translator.Emit.Routines;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>A source operand of a vector instruction, ready to be pushed: a register, memory at a checked host address, or what was read from memory.</summary>
/// <param name="Register">Register's number (<see cref="InstructionEmitter.VectorNumber"/>), or -1.</param>
/// <param name="Memory">Host address, or what was read.</param>
/// <param name="Size">Bytes in memory.</param>
/// <param name="IsRead">Whether it was read.</param>
internal readonly record struct VectorSource(int Register, LocalBuilder? Memory, int Size, bool IsRead = false);

internal sealed partial class InstructionEmitter
{
    private readonly LocalBuilder?[] _vectors = new LocalBuilder?[16];
    private LocalBuilder? _opaqueZero;

    /// <summary>XMM and MMX registers that the region reads or writes, and those it writes: bit per number. Set before anything is emitted.</summary>
    public int UsedVectors { get; set; }

    /// <inheritdoc cref="UsedVectors"/>
    public int WrittenVectors { get; set; }

    /// <summary>What is live while the region runs. Set before anything is emitted.</summary>
    public LiveUnit NeededUnits { get; set; }

    /// <summary>Floating-point results come about at run time only: RyuJIT must not compute with what it knows of operands.</summary>
    public bool MustHideConstants => (NeededUnits & LiveUnit.Mxcsr) != 0;

    /// <summary>Place in the block behind the x87 run that has been written.</summary>
    public int X87RunEnd { get; set; }

    /// <summary>Loads the XMM registers used, at the entry.</summary>
    public void LoadVectors()
    {
        for (int number = 0; number < 8; number++)
        {
            if ((UsedVectors >> number & 1) != 0)
            {
                StateAddress(StateLayout.Xmm(number));
                Il.Emit(OpCodes.Ldobj, typeof(Vector128<byte>));
                Il.Emit(OpCodes.Stloc, VectorLocal(number));
            }
        }

        if (MustHideConstants)
        {
            _opaqueZero = Il.DeclareLocal(typeof(int));
            StateAddress(StateLayout.OpaqueZeros);
            Il.Emit(OpCodes.Volatile);
            Il.Emit(OpCodes.Ldind_I4);
            Il.Emit(OpCodes.Stloc, _opaqueZero);
        }
    }

    /// <summary>Loads XMM registers anew, where host code has changed them, or RyuJIT is not to know that they are as before.</summary>
    /// <param name="numbers">Which: bit per number. Those that the region doesn't use are left out.</param>
    public void ReloadVectors(int numbers = 0xFF)
    {
        for (int number = 0; number < 8; number++)
        {
            if ((UsedVectors & numbers & (1 << number)) != 0)
            {
                StateAddress(StateLayout.Xmm(number));
                Il.Emit(OpCodes.Volatile);
                Il.Emit(OpCodes.Ldobj, typeof(Vector128<byte>));
                Il.Emit(OpCodes.Stloc, VectorLocal(number));
            }
        }
    }

    /// <summary>Stores the XMM registers written, at an exit.</summary>
    public void StoreVectors()
    {
        for (int number = 0; number < 8; number++)
        {
            if ((WrittenVectors >> number & 1) != 0)
            {
                StateAddress(StateLayout.Xmm(number));
                Il.Emit(OpCodes.Ldloc, VectorLocal(number));
                Il.Emit(OpCodes.Stobj, typeof(Vector128<byte>));
            }
        }
    }

    /// <summary>Number of a vector register: XMM0 to XMM7 are 0 to 7, MM0 to MM7 are 8 to 15.</summary>
    public static int VectorNumber(Register register) =>
        register.IsMM() ? FirstMmx + (register - Iced.Intel.Register.MM0) : register - Iced.Intel.Register.XMM0;

    /// <summary>A source operand of a vector instruction. Memory is checked, which may leave; an MMX instruction enters MMX mode here.</summary>
    /// <param name="instruction">The instruction.</param>
    /// <param name="operand">Which operand.</param>
    /// <param name="size">Bytes, where it is memory; of an MMX instruction it is what its encoding says.</param>
    /// <param name="aligned">Whether memory must be aligned on its size; that of an MMX instruction need not be.</param>
    public VectorSource Vector(in Instruction instruction, int operand, int size, bool aligned)
    {
        bool mmx = EmitMmx.IsMmx(instruction);
        VectorSource source;
        if (instruction.GetOpKind(operand) == OpKind.Register)
        {
            source = new VectorSource(VectorNumber(instruction.GetOpRegister(operand)), null, 0);
        }
        else
        {
            size = mmx ? instruction.MemorySize.GetSize() : size;
            bool anywhere = !aligned || (mmx && size != 16);
            source = ReadAhead(new GuestVector(anywhere ? Place(instruction, size, write: false) : PlaceAligned(instruction, size, write: false), size));
        }

        if (mmx)
        {
            EnterMmx();
        }

        return source;
    }

    /// <summary>Pushes an XMM or MMX register.</summary>
    public void PushVector(int number) => Il.Emit(OpCodes.Ldloc, VectorLocal(number));

    /// <summary>Pushes a source; of narrow memory the rest is zero where asked for, else anything.</summary>
    public void PushVector(VectorSource source, bool clear = false)
    {
        if (source.Memory is null)
        {
            PushVector(source.Register);
            return;
        }

        Il.Emit(OpCodes.Ldloc, source.Memory);
        if (!source.IsRead)
        {
            EmitRead(source.Size);
        }

        switch (source.Size)
        {
            case 16:
                break;
            case 8:
                Il.Emit(OpCodes.Call, clear ? VectorMethods.CreateDouble : VectorMethods.CreateDoubleUnsafe);
                break;
            case 4:
                Il.Emit(OpCodes.Call, clear ? VectorMethods.CreateSingle : VectorMethods.CreateSingleUnsafe);
                break;
            default:
                Il.Emit(OpCodes.Call, VectorMethods.CreateInt32);
                break;
        }
    }

    /// <summary>Pops a host address, and pushes what is there, as the type that has so many bytes in vector instructions.</summary>
    private void EmitRead(int size)
    {
        Il.Emit(OpCodes.Volatile);
        Il.Emit(OpCodes.Unaligned, (byte)1);
        switch (size)
        {
            case 16:
                Il.Emit(OpCodes.Ldobj, typeof(Vector128<byte>));
                break;
            default:
                Il.Emit(size switch { 8 => OpCodes.Ldind_R8, 4 => OpCodes.Ldind_R4, _ => OpCodes.Ldind_U2 });
                break;
        }
    }

    /// <summary>What goes by the address window is read here, where it may leave: what uses it has other things on the IL stack.</summary>
    private VectorSource ReadAhead(GuestVector memory)
    {
        if (memory.Place.Exit is null)
        {
            return new VectorSource(-1, memory.Place.Address, memory.Size);
        }

        LocalBuilder read = Temp(memory.Size switch { 16 => typeof(Vector128<byte>), 8 => typeof(double), 4 => typeof(float), _ => typeof(int) });
        PushAddress(memory.Place);
        EmitRead(memory.Size);
        Il.Emit(OpCodes.Stloc, read);
        return new VectorSource(-1, read, memory.Size, IsRead: true);
    }

    private readonly record struct GuestVector(GuestPlace Place, int Size);

    /// <summary>Pushes a 32-bit value that becomes part of a vector.</summary>
    public void PushHidden(Value value)
    {
        Push(value);
        if (_opaqueZero is not null)
        {
            Il.Emit(OpCodes.Ldloc, _opaqueZero);
            Il.Emit(OpCodes.Or);
        }
    }

    /// <summary>Pushes a vector of zeros or ones.</summary>
    public void PushUniform(bool ones)
    {
        if (!MustHideConstants)
        {
            Il.Emit(OpCodes.Call, ones ? VectorMethods.AllOnes : VectorMethods.Zero);
            return;
        }

        StateAddress(ones ? StateLayout.OpaqueOnes : StateLayout.OpaqueZeros);
        Il.Emit(OpCodes.Volatile);
        Il.Emit(OpCodes.Ldobj, typeof(Vector128<byte>));
    }

    /// <summary>Pops a result into an XMM or MMX register.</summary>
    public void SetVector(int number)
    {
        if ((WrittenVectors >> number & 1) == 0)
        {
            throw new InvalidOperationException($"The translation of {_mnemonic} writes vector register {number}, which the region's summary does not have.");
        }

        Il.Emit(OpCodes.Stloc, VectorLocal(number));
        if (number >= FirstMmx)
        {
            NoteMmxWritten(number - FirstMmx);
        }
    }

    /// <summary>Pops a floating-point result into an XMM or MMX register. One that nothing reads is computed all the same, for its flags.</summary>
    public void SetFloat(int number)
    {
        SetVector(number);
        if (Optimized && (number >= FirstMmx || Block.DeadVectors.Contains(Position)))
        {
            StateAddress(StateLayout.Scratch);
            PushVector(number);
            Il.Emit(OpCodes.Volatile);
            Il.Emit(OpCodes.Stobj, typeof(Vector128<byte>));
        }
    }

    /// <summary>Makes sure that a 32-bit value is computed here, for the exception flags that come with it.</summary>
    public void KeepAlive(Value value)
    {
        if (Optimized)
        {
            StateAddress(StateLayout.Scratch);
            Push(value);
            Il.Emit(OpCodes.Volatile);
            Il.Emit(OpCodes.Stind_I4);
        }
    }

    /// <summary>Writes a vector that <paramref name="push"/> pushes to guest memory.</summary>
    public void StoreVector(GuestPlace place, int size, Action push)
    {
        if (place.Exit is not null)
        {
            // Nothing is to be computed between where it may leave and the access.
            push();
            if (size != 16)
            {
                Il.Emit(OpCodes.Call, size == 8 ? VectorMethods.ToDouble : VectorMethods.ToSingle);
            }

            LocalBuilder value = Temp(size switch { 16 => typeof(Vector128<byte>), 8 => typeof(double), _ => typeof(float) });
            Il.Emit(OpCodes.Stloc, value);
            PushAddress(place);
            Il.Emit(OpCodes.Ldloc, value);
            EmitWrite(size);
            return;
        }

        Il.Emit(OpCodes.Ldloc, place.Address!);
        push();
        if (size != 16)
        {
            Il.Emit(OpCodes.Call, size == 8 ? VectorMethods.ToDouble : VectorMethods.ToSingle);
        }

        EmitWrite(size);
    }

    private void EmitWrite(int size)
    {
        Il.Emit(OpCodes.Volatile);
        Il.Emit(OpCodes.Unaligned, (byte)1);
        if (size == 16)
        {
            Il.Emit(OpCodes.Stobj, typeof(Vector128<byte>));
        }
        else
        {
            Il.Emit(size == 8 ? OpCodes.Stind_R8 : OpCodes.Stind_R4);
        }
    }

    /// <summary>A copy of a source that later writes do not change.</summary>
    public LocalBuilder CopyVector(VectorSource source)
    {
        LocalBuilder copy = Temp(typeof(Vector128<byte>));
        PushVector(source);
        Il.Emit(OpCodes.Stloc, copy);
        return copy;
    }

    private LocalBuilder VectorLocal(int number)
    {
        if ((UsedVectors >> number & 1) == 0)
        {
            throw new InvalidOperationException($"The translation of {_mnemonic} uses vector register {number}, which the region's summary does not have.");
        }

        return _vectors[number] ??= Il.DeclareLocal(typeof(Vector128<byte>));
    }
}
