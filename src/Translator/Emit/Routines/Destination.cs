using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

/// <summary>The first operand of a read-modify-write instruction, in a register or in memory.</summary>
internal readonly struct Destination
{
    private readonly Register _register;
    private readonly GuestPlace? _place;
    private readonly int _size;

    private Destination(Register register, GuestPlace? place, int size, Value old)
    {
        _register = register;
        _place = place;
        _size = size;
        Old = old;
    }

    /// <summary>What it holds before. A whole register changes with <see cref="Write"/>.</summary>
    public Value Old { get; }

    /// <summary>Finds it. May leave.</summary>
    public static Destination Of(InstructionEmitter e, in Instruction i, int size)
    {
        if (i.Op0Kind == OpKind.Register)
        {
            return new Destination(i.Op0Register, null, size, e.RegisterValue(i.Op0Register));
        }

        GuestPlace place = e.Place(i, size, write: true);
        return new Destination(Register.None, place, size, e.Load(place, size));
    }

    /// <summary>Writes the result.</summary>
    /// <returns>Where the result can be had from then on: the register itself where it is 32 bits wide.</returns>
    public Value Write(InstructionEmitter e, Value result)
    {
        if (_place is { } place)
        {
            e.Store(place, result, _size);
            return result;
        }

        e.SetRegister(_register, result);
        return _size == 4 ? Value.Register(InstructionEmitter.NumberOf(_register)) : result;
    }
}
