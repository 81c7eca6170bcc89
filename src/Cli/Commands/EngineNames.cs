using System.CommandLine;
using Dbt.Translator;

namespace Dbt.Cli.Commands;

/// <summary>Engines by the words for them.</summary>
internal static class EngineNames
{
    /// <summary>The words.</summary>
    public const string All = "interpreter, quick, optimized, tiered";

    private static readonly Dictionary<string, EngineKind> Kinds = new(StringComparer.OrdinalIgnoreCase)
    {
        ["interpreter"] = EngineKind.Interpreter,
        ["quick"] = EngineKind.Quick,
        ["optimized"] = EngineKind.Optimized,
        ["optimised"] = EngineKind.Optimized,
        ["tiered"] = EngineKind.Tiered,
    };

    /// <summary>The engine of a word; null for any other word.</summary>
    public static EngineKind? Parse(string word) => Kinds.TryGetValue(word, out EngineKind kind) ? kind : null;

    /// <summary>The option that names one.</summary>
    public static Option<EngineKind> Option() => new("--engine")
    {
        Description = "How guest code is executed: interpreter, quick, optimized or tiered (the default). "
            + "DBT_PORTABLE_FLOATING_POINT=1 in the environment: x87, MMX and SSE without the host's own instructions. DBT_WINDOWS=never: accesses of programs that run for long are checked by translated code too, not by the host's processor.",
        HelpName = "E",
        DefaultValueFactory = _ => EngineKind.Tiered,
        CustomParser = result =>
        {
            string word = result.Tokens[0].Value;
            EngineKind? kind = Parse(word);
            if (kind is null)
            {
                result.AddError($"--engine: '{word}' is none of {All}");
            }

            return kind ?? EngineKind.Tiered;
        },
    };
}
