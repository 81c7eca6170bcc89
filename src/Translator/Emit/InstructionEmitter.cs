namespace Dbt.Translator.Emit;

/// <summary>What an <see cref="EmitRoutine"/> writes through: guest registers, memory, flags, exits.</summary>
internal sealed class InstructionEmitter;
