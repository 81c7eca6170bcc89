using Dbt.Translator.Interpretation;
using Dbt.Translator.State;

namespace Dbt.Translator;

/// <summary>Makes the engine that a user's options ask for.</summary>
public static unsafe class EngineFactory
{
    /// <summary>Makes an engine for one virtual processor. It belongs to the thread that will call <see cref="Engine.Run"/>.</summary>
    /// <param name="options">Which tiers, and their settings.</param>
    /// <param name="platform">What the processor is plugged into.</param>
    /// <param name="cpu">The processor's state; must outlive the engine.</param>
    public static Engine Create(EngineOptions options, Platform platform, CpuState* cpu) =>
        options.Kind == EngineKind.Interpreter ? new InterpreterEngine(platform, cpu, options.PortableFloatingPoint) : new TranslatingEngine(options, platform, cpu);
}
