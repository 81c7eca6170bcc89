using Dbt.Translator.Interpretation.Portable;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Interpretation.Native;

/// <summary>
/// An x87 instruction as it mostly is: all exceptions masked, no empty register read, no full one pushed on. Worked out on the guest's
/// area itself, arithmetic by <see cref="X87Micro"/>, and what only moves values by managed code. What is out of the ordinary
/// goes to the <see cref="Portable"/> form, which does all of it.
/// </summary>
internal sealed unsafe class FastX87
{
    private const ushort C1 = 0x200, Conditions = 0x4700, Flags = 0x3F;
    private const ulong Integer = 1UL << 63;

    private readonly Kind _kind;
    private readonly delegate* unmanaged[SuppressGCTransition]<byte*, byte*, FxState*, uint> _code;

    private FastX87(PortableX87 portable)
    {
        Portable = portable;
        (_kind, Mnemonic operation) = portable.Mnemonic switch
        {
            _ when portable.Operation != Mnemonic.INVALID => (Kind.Arithmetic, portable.Operation),
            Mnemonic.Fsqrt or Mnemonic.Frndint => (Kind.Unary, portable.Mnemonic),
            Mnemonic.Fcom or Mnemonic.Fcomp or Mnemonic.Fcompp or Mnemonic.Ficom or Mnemonic.Ficomp => (Kind.Compare, Mnemonic.Fcom),
            Mnemonic.Fucom or Mnemonic.Fucomp or Mnemonic.Fucompp => (Kind.Compare, Mnemonic.Fucom),
            Mnemonic.Fcomi or Mnemonic.Fcomip => (Kind.CompareToFlags, Mnemonic.Fcom),
            Mnemonic.Fucomi or Mnemonic.Fucomip => (Kind.CompareToFlags, Mnemonic.Fucom),
            Mnemonic.Fst or Mnemonic.Fstp when portable.Memory is MemorySize.Float32 or MemorySize.Float64 => (Kind.Store, Mnemonic.Fst),
            Mnemonic.Fist or Mnemonic.Fistp => (Kind.Store, Mnemonic.Fist),
            Mnemonic.Fisttp => (Kind.Store, Mnemonic.Fisttp),
            Mnemonic.Fld when portable.Memory == MemorySize.Float32 => (Kind.LoadSingle, Mnemonic.INVALID),
            Mnemonic.Fld when portable.Memory == MemorySize.Float64 => (Kind.LoadDouble, Mnemonic.INVALID),
            Mnemonic.F2xm1 or Mnemonic.Fyl2x or Mnemonic.Fyl2xp1 or Mnemonic.Fptan or Mnemonic.Fpatan or Mnemonic.Fsin or Mnemonic.Fcos
                or Mnemonic.Fsincos or Mnemonic.Fprem or Mnemonic.Fprem1 or Mnemonic.Fscale => (Kind.None, Mnemonic.INVALID),
            _ => (Kind.Managed, Mnemonic.INVALID),
        };
        _code = operation == Mnemonic.INVALID ? null : X87Micro.Get(operation, portable.HasMemory ? portable.Memory : MemorySize.Float80);
    }

    private enum Kind
    {
        /// <summary>The host's own, by the whole area.</summary>
        None,
        Managed,
        LoadSingle,
        LoadDouble,
        Arithmetic,
        Unary,
        Compare,
        CompareToFlags,
        Store,
    }

    /// <summary>All of the instruction, in managed code.</summary>
    public PortableX87 Portable { get; }

    /// <summary>The fast form of an instruction that the host has; null where there is none.</summary>
    public static FastX87? Find(in Instruction guest)
    {
        FastX87? fast = PortableX87.Find(guest) is { } portable ? new FastX87(portable) : null;
        return fast is { _kind: not Kind.None } ? fast : null;
    }

    /// <summary>Carries it out on the guest's area.</summary>
    /// <returns>False, with nothing changed, where it is not the ordinary case.</returns>
    public bool TryRun(CpuState* cpu, FxState* state, byte* memory)
    {
        int top = state->Top;
        switch (_kind)
        {
            case Kind.LoadDouble:
                ulong wide = *(ulong*)memory;
                uint exponent = (uint)(wide >> 52) & 0x7FF;
                if (IsFull(state, top + 7) || exponent - 1 >= 0x7FE)
                {
                    return false;
                }

                Push(state, (ushort)(((wide >> 48) & 0x8000) | (exponent + 0x3C00)), (wide << 11) | Integer);
                return true;
            case Kind.LoadSingle:
                uint narrow = *(uint*)memory;
                exponent = (narrow >> 23) & 0xFF;
                if (IsFull(state, top + 7) || exponent - 1 >= 0xFE)
                {
                    return false;
                }

                Push(state, (ushort)(((narrow >> 16) & 0x8000) | (exponent + 0x3F80)), ((ulong)narrow << 40) | Integer);
                return true;
            case Kind.Arithmetic or Kind.Unary:
                if (!IsFull(state, top + Portable.First) || (_kind == Kind.Arithmetic && memory == null && !IsFull(state, top + Portable.Second)))
                {
                    return false;
                }

                uint status = _code(state->Stack + (16 * Portable.First), memory != null ? memory : state->Stack + (16 * (Portable.Second & 7)), state);
                state->StatusWord = (ushort)((state->StatusWord & ~(uint)C1) | (status & (C1 | Flags)));
                break;
            case Kind.Store:
                if (!IsFull(state, top))
                {
                    return false;
                }

                status = _code(state->Stack, memory, state);
                state->StatusWord = (ushort)((state->StatusWord & ~(uint)C1) | (status & (C1 | Flags)));
                break;
            case Kind.Compare or Kind.CompareToFlags:
                int other = Portable.Second >= 0 ? Portable.Second : 1;
                if (!IsFull(state, top) || (memory == null && !IsFull(state, top + other)))
                {
                    return false;
                }

                status = _code(state->Stack, memory != null ? memory : state->Stack + (16 * other), state);
                if (_kind == Kind.Compare)
                {
                    state->StatusWord = (ushort)((state->StatusWord & ~(uint)Conditions) | (status & (Conditions | Flags)));
                }
                else
                {
                    // C0, C2, C3 are where AH has CF, PF, ZF after SAHF.
                    state->StatusWord |= (ushort)(status & Flags);
                    LazyFlags.SetStatus(cpu, (status >> 8) & 0x45);
                }

                break;
            default:
                return false;
        }

        for (int i = Portable.Pops; i > 0; i--)
        {
            state->Tags &= (byte)~(1 << state->Top);
            state->Turn(1);
        }

        return true;
    }

    private static bool IsFull(FxState* state, int physical) => (state->Tags & (1 << (physical & 7))) != 0;

    private static void Push(FxState* state, ushort head, ulong significand)
    {
        state->Turn(7);
        *(ulong*)state->Stack = significand;
        *(ulong*)(state->Stack + 8) = head;
        state->StatusWord &= unchecked((ushort)~C1);
        state->Tags |= (byte)(1 << state->Top);
    }
}
