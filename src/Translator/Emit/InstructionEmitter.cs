using System.Reflection.Emit;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>
/// What an <see cref="EmitRoutine"/> writes through: guest registers, memory, flags, exits. Rules for routines:
/// the IL stack is empty wherever something may leave (host addresses, exits, edges); nothing that the guest can see changes
/// before the last place where the instruction may leave.
/// </summary>
internal sealed partial class InstructionEmitter
{
    // Chains of flags that depend on earlier ones (INC after INC, shifts by CL) make every exit longer.
    private const int MaxFlagDepth = 4;

    private readonly LocalBuilder?[] _registers = new LocalBuilder?[8];
    private readonly MemoryEmitter _memory;
    private readonly List<Action> _deferred = [];
    private readonly LocalPool _locals, _deferredLocals;
    private FlagValue _flagsBefore = StateFlags.Instance;
    private bool _freshFlags, _deferring;

    public InstructionEmitter(ILGenerator il, Region region, MemoryEmitter memory, ExitTable exits, InstanceLayout instance)
    {
        Il = il;
        Region = region;
        _memory = memory;
        _exits = exits;
        Instance = instance;
        _locals = new LocalPool(il);
        _deferredLocals = new LocalPool(il);
        _sideExit = il.DefineLabel();
        _return = il.DefineLabel();
        Plain = il.DefineLabel();
        Indirect = il.DefineLabel();
        Linked = il.DefineLabel();
        _code = il.DeclareLocal(typeof(int));
        EipLocal = il.DeclareLocal(typeof(int));
        LinkLocal = il.DeclareLocal(typeof(long));
        Retired = il.DeclareLocal(typeof(long));
    }

    /// <summary>Where IL is written.</summary>
    public ILGenerator Il { get; }

    /// <summary>What is being translated.</summary>
    public Region Region { get; }

    /// <summary>The status flags at this point.</summary>
    public FlagValue Flags { get; private set; } = StateFlags.Instance;

    /// <summary>The block being written.</summary>
    public GuestBlock Block { get; private set; } = null!;

    /// <summary>EIP of the instruction being written.</summary>
    public uint Eip { get; private set; }

    /// <summary>EIP behind it.</summary>
    public uint NextEip { get; private set; }

    /// <summary>Its place in the block: so many of the block were carried out before it.</summary>
    public int Position { get; private set; }

    /// <summary>The mode translated for.</summary>
    public CpuMode Mode => Region.Mode;

    /// <summary>Which tier it is for.</summary>
    public bool Optimized { get; init; }

    /// <summary>The instruction has ended the block by itself.</summary>
    public bool BlockEnded { get; private set; }

    /// <summary>Registers that the region reads or writes, and those it writes: bit per number. Set before anything is emitted.</summary>
    public int UsedRegisters { get; set; }

    /// <inheritdoc cref="UsedRegisters"/>
    public int WrittenRegisters { get; set; }

    /// <summary>Starts a block with the flags that arrive there.</summary>
    public void BeginBlock(GuestBlock block)
    {
        // First: the flags that the block before ends with may be the ones that arrive here.
        EndTemporaries();
        Block = block;
        BlockEnded = false;
        _uncounted = block.Uncounted ??= 0;
        X87RunEnd = 0;
        _mmx = block.MmxOnEntry;
        Flags = block.EntryFlags ?? StateFlags.Instance;
        _locals.Restart(Flags);
        BeginSpans(block);
        _flagsBefore = Flags;
        _freshFlags = false;
        Il.MarkLabel(block.Label);
    }

    /// <summary>Where each instruction's IL begins, for a listing; null where none is wanted.</summary>
    public List<(int Offset, uint Eip)>? Marks { get; init; }

    /// <summary>Starts an instruction.</summary>
    public void BeginInstruction(in Instruction instruction, int position)
    {
        _mnemonic = instruction.Mnemonic;
        Eip = instruction.IP32;
        NextEip = (uint)instruction.NextIP;
        Position = position;
        _memoryExit = null;
        _registerWritten = false;
        Marks?.Add((Il.ILOffset, Eip));
        EndTemporaries();
        if (Flags.Depth > MaxFlagDepth)
        {
            SpillFlags();
            EndTemporaries();
        }
    }

    private void EndTemporaries()
    {
        _locals.EndInstruction(_flagsBefore, Flags, _freshFlags);
        _flagsBefore = Flags;
        _freshFlags = false;
    }

    /// <summary>Pushes a constant.</summary>
    public void Constant(uint value) => Constant((int)value);

    /// <inheritdoc cref="Constant(uint)"/>
    public void Constant(int value) => Il.Emit(OpCodes.Ldc_I4, value);

    /// <summary>A 32-bit local for this instruction, and for as long as flags need it that the instruction sets.</summary>
    public LocalBuilder Temp() => Temp(typeof(int));

    /// <summary>A 64-bit local, likewise.</summary>
    public LocalBuilder Temp64() => Temp(typeof(long));

    /// <summary>A local of any type, likewise.</summary>
    public LocalBuilder Temp(Type type) => (_deferring ? _deferredLocals : _locals).Take(type);

    /// <summary>Pops a 32-bit value into a new local.</summary>
    public LocalBuilder StoreTemp()
    {
        LocalBuilder local = Temp();
        Il.Emit(OpCodes.Stloc, local);
        return local;
    }

    /// <summary>Pops a 64-bit value into a new local.</summary>
    public LocalBuilder StoreTemp64()
    {
        LocalBuilder local = Temp64();
        Il.Emit(OpCodes.Stloc, local);
        return local;
    }

    /// <summary>Pops a 32-bit value into a new local and names it.</summary>
    public Value StoreValue() => Value.Local(StoreTemp());

    /// <summary>Zero-extends the value on the stack from <paramref name="size"/> bytes.</summary>
    public void Truncate(int size)
    {
        if (size < 4)
        {
            Il.Emit(size == 1 ? OpCodes.Conv_U1 : OpCodes.Conv_U2);
        }
    }

    /// <summary>Sign-extends the value on the stack from <paramref name="size"/> bytes.</summary>
    public void SignExtend(int size)
    {
        if (size < 4)
        {
            Il.Emit(size == 1 ? OpCodes.Conv_I1 : OpCodes.Conv_I2);
        }
    }

    /// <summary>Pushes a value.</summary>
    public void Push(Value value)
    {
        switch (value.Kind)
        {
            case ValueKind.Register:
                Il.Emit(OpCodes.Ldloc, RegisterLocal(value.Number));
                Il.Emit(OpCodes.Conv_I4);
                break;
            case ValueKind.Constant:
                Constant(value.Number);
                break;
            default:
                Il.Emit(OpCodes.Ldloc, value.Variable!);
                break;
        }
    }

    /// <summary>Pushes a value of <paramref name="size"/> bytes sign-extended.</summary>
    public void PushSigned(Value value, int size)
    {
        if (value.Kind == ValueKind.Constant && size < 4)
        {
            Constant(size == 1 ? (sbyte)value.Number : (short)value.Number);
            return;
        }

        Push(value);
        SignExtend(size);
    }

    /// <summary>Pushes a value zero-extended to 64 bits.</summary>
    public void PushWide(Value value)
    {
        if (value.Kind == ValueKind.Register)
        {
            Il.Emit(OpCodes.Ldloc, RegisterLocal(value.Number));
            return;
        }

        Push(value);
        Il.Emit(OpCodes.Conv_U8);
    }

    /// <summary>The value in a local that no register write can change.</summary>
    public Value Fixed(Value value)
    {
        if (value.Kind != ValueKind.Register)
        {
            return value;
        }

        Push(value);
        return StoreValue();
    }

    /// <summary><paramref name="value"/>, copied if it is the register that is about to be overwritten.</summary>
    public Value Keep(Value value, int register) => value.IsRegister(register) ? Fixed(value) : value;

    /// <summary>Pushes a field of the processor's state.</summary>
    public void LoadState(int offset, OpCode load)
    {
        StateAddress(offset);
        Il.Emit(load);
    }

    /// <summary>Stores what <paramref name="push"/> pushes into a 32-bit field of the processor's state.</summary>
    public void StoreState(int offset, Action push)
    {
        StateAddress(offset);
        push();
        Il.Emit(OpCodes.Stind_I4);
    }

    /// <summary>Pushes the address of a field of the processor's state.</summary>
    public void StateAddress(int offset)
    {
        Il.Emit(OpCodes.Ldarg_0);
        if (offset != 0)
        {
            Constant(offset);
            Il.Emit(OpCodes.Conv_I);
            Il.Emit(OpCodes.Add);
        }
    }

    /// <summary>Pushes the address of a field of the translation's instance.</summary>
    public void InstanceAddress(int offset)
    {
        Il.Emit(OpCodes.Ldarg_1);
        Constant(offset);
        Il.Emit(OpCodes.Conv_I);
        Il.Emit(OpCodes.Add);
    }

    /// <summary>Calls host code whose address is in a field of the processor's state; its arguments have been pushed.</summary>
    public void CallHost(int field, Type result, params Type[] parameters)
    {
        LoadState(field, OpCodes.Ldind_I);
        Il.EmitCalli(OpCodes.Calli, System.Reflection.CallingConventions.Standard, result, parameters, null);
    }

    /// <summary>Calls host code made for this translation; its arguments have been pushed.</summary>
    public void CallStub(nint stub, Type result, params Type[] parameters)
    {
        InstanceAddress(Instance.AddStub(stub));
        Il.Emit(OpCodes.Ldind_I);
        Il.EmitCalli(OpCodes.Calli, System.Reflection.CallingConventions.Standard, result, parameters, null);
    }

    /// <summary>The local of a guest register.</summary>
    public LocalBuilder RegisterLocal(int number)
    {
        if ((UsedRegisters >> number & 1) == 0)
        {
            throw new InvalidOperationException($"The translation of {_mnemonic} uses register {number}, which the region's summary does not have.");
        }

        return _registers[number] ??= Il.DeclareLocal(typeof(ulong));
    }

    /// <summary>Sets the flags without regard to what they were.</summary>
    public void SetFlags(FlagValue flags)
    {
        Flags = flags;
        _freshFlags |= flags.Depth <= 1;
    }

    /// <summary>The earlier flags are not needed from here on: a register write need not keep their operands. SetFlags must follow.</summary>
    public void ForgetFlags() => Flags = StateFlags.Instance;

    /// <summary>Brings the flags into the processor's state. Nothing of the instruction may leave afterwards but through an edge.</summary>
    public void SpillFlags()
    {
        Flags.Store(this);
        Flags = StateFlags.Instance;
    }

    /// <summary>Writes what was put off: exits and rare paths, out of the way of the code that runs.</summary>
    public void EmitDeferred()
    {
        _deferring = true;
        for (int i = 0; i < _deferred.Count; i++)
        {
            _deferredLocals.Restart(StateFlags.Instance);
            _deferred[i]();
        }

        _deferring = false;
        _deferred.Clear();
    }

    /// <summary>Whether code that was put off is being written.</summary>
    public bool IsDeferring => _deferring;

    /// <summary>Puts code off to the end of the method.</summary>
    public void Defer(Action emit) => _deferred.Add(emit);
}
