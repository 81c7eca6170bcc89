using System.Reflection.Emit;
using Dbt.Translator.State;
using Iced.Intel;
using Label = System.Reflection.Emit.Label;

namespace Dbt.Translator.Emit;

/// <summary>
/// A place in guest memory that an instruction reads, or writes, or both: at a host address that has been checked, or by the address window, where the access itself may leave. Nothing that the guest can see may change
/// before the last access to such a place.
/// </summary>
/// <param name="Address">A local with the checked host address, or with the linear address; null where a register has it.</param>
/// <param name="Exit">Where an access by the window leaves; null for a checked address.</param>
/// <param name="Register">Number of the register.</param>
/// <param name="Displacement">Added to the register.</param>
internal readonly record struct GuestPlace(LocalBuilder? Address, Label? Exit = null, int Register = -1, int Displacement = 0)
{
    /// <summary>A checked host address.</summary>
    public static implicit operator GuestPlace(LocalBuilder host) => new(host);
}

internal sealed partial class InstructionEmitter
{
    // What leads from a register across the window's margin is reckoned in 32 bits first, as it may go around.
    private const int MaxDisplacement = Memory.AddressWindow.MarginBytes / 2;

    private LocalBuilder? _window;
    private bool _registerWritten;

    /// <summary>Memory is reached by the address window. Set before anything is emitted.</summary>
    public bool IsWindowed { get; set; }

    /// <summary>Loads the window's address, at the entry.</summary>
    public void LoadWindow()
    {
        if (IsWindowed)
        {
            _window = Il.DeclareLocal(typeof(long));
            LoadState(StateLayout.Window, OpCodes.Ldind_I8);
            Il.Emit(OpCodes.Stloc, _window);
        }
    }

    private bool GoesByWindow => IsWindowed && !_deferring && !Region.Checked.Contains(Eip);

    /// <summary>Where the memory operand is. May leave.</summary>
    public GuestPlace Place(in Instruction instruction, int size, bool write) =>
        GoesByWindow ? WindowPlace(SiteOf(instruction, size, write)) : Host(instruction, size, write);

    /// <summary>Where a memory operand is that must be aligned on its size. May leave.</summary>
    public GuestPlace PlaceAligned(in Instruction instruction, int size, bool write)
    {
        if (!GoesByWindow)
        {
            return HostAligned(instruction, size, write);
        }

        GuestPlace place = WindowPlace(SiteOf(instruction, size, write));
        PushLinear(place);
        Il.Emit(OpCodes.Conv_I4);
        Constant(size - 1);
        Il.Emit(OpCodes.And);
        Il.Emit(OpCodes.Brtrue, SideExit(SideExitKind.Rare));
        return place;
    }

    /// <summary>Where a register points to, displaced. May leave.</summary>
    public GuestPlace Place(Gpr register, int displacement, int size, bool write) => GoesByWindow
        ? WindowPlace(new MemorySite((sbyte)register, -1, 0, (uint)displacement, null, (byte)size, write))
        : Host(register, displacement, size, write);

    /// <summary>Reads guest memory, zero-extended.</summary>
    public Value Load(GuestPlace place, int size)
    {
        PushAddress(place);
        EmitLoad(size);
        return StoreValue();
    }

    /// <summary>Writes guest memory.</summary>
    public void Store(GuestPlace place, Value value, int size)
    {
        if (place.Exit is not null && size == 4 && value is { Kind: ValueKind.Constant, Number: 0 })
        {
            // RyuJIT would make the zero in a register between the mark and the access, where the exit may expect something else.
            LoadState(StateLayout.Zero, OpCodes.Ldind_I4);
            value = StoreValue();
        }

        PushAddress(place);
        Push(value);
        Il.Emit(OpCodes.Volatile);
        if (size > 1)
        {
            Il.Emit(OpCodes.Unaligned, (byte)1);
        }

        Il.Emit(size switch { 1 => OpCodes.Stind_I1, 2 => OpCodes.Stind_I2, _ => OpCodes.Stind_I4 });
    }

    /// <summary>
    /// Pushes the host address of a place for the one access that follows at once, with nothing in between but the value to be stored, in a local. By the window that may leave: there is a comparison that always fails, whose
    /// branch says where the access is to go on if it faults; <see cref="Cache.WindowAccesses"/> takes it out of the machine code. The IL stack is empty before.
    /// </summary>
    private void PushAddress(GuestPlace place)
    {
        if (place.Exit is not { } exit)
        {
            Il.Emit(OpCodes.Ldloc, place.Address!);
            return;
        }

        if (_registerWritten)
        {
            throw new InvalidOperationException($"The translation of {_mnemonic} writes a register before its last access to memory.");
        }

        Mark(StateLayout.NoFault, exit);
        // In the other order at a loop's end: what is the same there and at its beginning, RyuJIT would make one of, with two exits.
        LocalBuilder inside = place.Address ?? RegisterLocal(place.Register);
        Il.Emit(OpCodes.Ldloc, _repeating ? inside : _window!);
        Il.Emit(OpCodes.Ldloc, _repeating ? _window! : inside);
        Il.Emit(OpCodes.Add);
        if (place.Displacement != 0)
        {
            Il.Emit(OpCodes.Ldc_I8, (long)place.Displacement);
            Il.Emit(OpCodes.Add);
        }
    }

    /// <summary>
    /// RyuJIT repeats the comparison that a loop begins with at its end. An access whose mark is repeated can't be freed, as registers may differ between its two ways; so loops begin with a mark of no access.
    /// </summary>
    public void MarkLoop()
    {
        if (IsWindowed && Block.Predecessors.Exists(before => before.Start >= Block.Start))
        {
            Mark(StateLayout.NoRepeat, SideExit(SideExitKind.Window));
        }
    }

    private void Mark(int field, Label exit)
    {
        StateAddress(field);
        Il.Emit(OpCodes.Volatile);
        Il.Emit(OpCodes.Ldind_U1);
        Il.Emit(OpCodes.Brtrue, exit);
    }

    private GuestPlace WindowPlace(in MemorySite site)
    {
        Label exit = SideExit(SideExitKind.Window, site);
        return site is { Base: >= 0, Index: < 0, Segment: null } && (int)site.Displacement is > -MaxDisplacement and < MaxDisplacement
            ? new GuestPlace(null, exit, site.Base, (int)site.Displacement)
            : new GuestPlace(Linear(site, default), exit);
    }

    private void PushLinear(GuestPlace place)
    {
        if (place.Address is not null)
        {
            Il.Emit(OpCodes.Ldloc, place.Address);
            return;
        }

        Il.Emit(OpCodes.Ldloc, RegisterLocal(place.Register));
        Il.Emit(OpCodes.Ldc_I8, (long)place.Displacement);
        Il.Emit(OpCodes.Add);
    }
}
