using System.Runtime.CompilerServices;
using Dbt.Translator.Interpretation.Native;
using Iced.Intel;

namespace Dbt.Translator.Simd;

/// <summary>
/// One MMX or SSE instruction in C#, for any host: a routine of <see cref="SimdTable"/> and the places of its operands.
/// It stands where a thunk stands, so access to memory, alignment and unmasked exceptions are the same code for both.
/// </summary>
internal sealed unsafe class PortableSimd : ManagedRoutine
{
    private readonly SimdRoutine _routine;
    private readonly Place _first, _second;
    private readonly int _immediate, _width, _memorySize, _writtenXmm;
    private readonly bool _entersMmx, _whole;

    private PortableSimd(SimdRoutine routine, in Instruction guest)
    {
        _routine = routine;
        _writtenXmm = -1;
        foreach (UsedRegister used in new InstructionInfoFactory().GetInfo(guest).GetUsedRegisters())
        {
            _entersMmx |= used.Register.IsMM();
            if (used.Register.IsXMM() && used.Access is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite)
            {
                _writtenXmm = used.Register - Register.XMM0;
            }
        }

        _whole = _entersMmx || guest.Mnemonic == Mnemonic.Emms;
        _width = _entersMmx ? 8 : 16;
        for (int i = 0; i < guest.OpCount; i++)
        {
            switch (guest.GetOpKind(i))
            {
                case OpKind.Immediate8:
                    _immediate = guest.Immediate8;
                    break;
                case OpKind.Memory:
                    _memorySize = guest.MemorySize.GetSize();
                    goto default;
                default:
                    Place place = PlaceOf(guest, i);
                    (_first, _second) = i switch { 0 => (place, _second), 1 => (_first, place), _ => (_first, _second) };
                    break;
            }
        }
    }

    private enum Kind
    {
        None,
        Xmm,
        Mmx,
        General,
        Memory,
    }

    /// <summary>Makes one; null where the instruction is none of MMX and SSE.</summary>
    /// <param name="guest">As decoded.</param>
    public static PortableSimd? Find(in Instruction guest) =>
        SimdTable.Find(guest.Mnemonic) is { } routine ? new PortableSimd(routine, guest) : null;

    /// <inheritdoc/>
    public override void Run(byte* area, byte* memory, NativeRegisters* registers)
    {
        var state = (FxState*)area;
        if (_whole)
        {
            state->EnterMmx();
        }

        if (!_entersMmx && _whole)
        {
            // EMMS is an MMX instruction too, but leaves all registers empty.
            state->Tags = 0;
            return;
        }

        SimdOperands operands = default;
        operands.Registers = registers;
        operands.Mxcsr = _whole ? &state->Mxcsr : &registers->Mxcsr;
        operands.Immediate = _immediate;
        operands.Width = _width;
        operands.MemorySize = _memorySize;
        operands.Stores = _first.Kind == Kind.Memory;
        operands.Implicit = state->Xmm;
        operands.First = Address(_first, state, memory, registers);
        operands.Second = Address(_second, state, memory, registers);
        operands.Result = operands.First;
        if (!_whole && _writtenXmm >= 0)
        {
            operands.Result = registers->Xmm;
            Unsafe.CopyBlockUnaligned(operands.Result, state->Xmm + (16 * _writtenXmm), 16);
        }

        _routine(in operands);
        if (_first.Kind == Kind.Mmx)
        {
            // Sign and exponent of a written MMX register are all ones (SDM vol. 1, 9.5.1).
            *(ushort*)(operands.First + 8) = 0xFFFF;
        }
    }

    private static byte* Address(Place place, FxState* state, byte* memory, NativeRegisters* registers) => place.Kind switch
    {
        Kind.Xmm => state->Xmm + (16 * place.Number),
        Kind.Mmx => state->Stack + (16 * place.Number),
        Kind.General => (byte*)&registers->Explicit,
        Kind.Memory => memory,
        _ => null,
    };

    private static Place PlaceOf(in Instruction guest, int operand)
    {
        if (guest.GetOpKind(operand) == OpKind.Memory)
        {
            return new Place(Kind.Memory, 0);
        }

        Register register = guest.GetOpRegister(operand);
        return register.IsXMM() ? new Place(Kind.Xmm, register - Register.XMM0)
            : register.IsMM() ? new Place(Kind.Mmx, register - Register.MM0)
            : new Place(Kind.General, 0);
    }

    private readonly record struct Place(Kind Kind, int Number);
}
